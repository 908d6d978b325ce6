import io
import tarfile

import pytest
from support.verified import member, patched

from wdsremux.core.tar import ustar
from wdsremux.core.tar.headers import Extension, is_sound, stated_name, stated_size


def test_headers_of_wdsremux_are_valid():
    header = ustar.header("a.jpg", 700)
    assert is_sound(header)
    assert (stated_name(header), stated_size(header)) == ("a.jpg", 700)


@pytest.mark.parametrize("at", [0, 50, 124, 148, 156, 257, 500])
def test_any_changed_byte_makes_a_header_invalid(at):
    header = bytearray(ustar.header("a.jpg", 700))
    header[at] ^= 1
    assert not is_sound(bytes(header))


def test_a_checksum_over_signed_bytes_is_accepted():
    header = bytearray(member("b.jpg"))[:512]
    header[0] = 0xFC
    header[148:156] = b" " * 8
    total = sum(header) - 256
    header[148:156] = b"%06o\0 " % total
    assert is_sound(bytes(header))


def test_sizes_over_eight_gigabytes_are_read():
    info = tarfile.TarInfo("big.bin")
    info.size = 1 << 40
    assert stated_size(info.tobuf(tarfile.GNU_FORMAT)) == 1 << 40


@pytest.mark.parametrize(
    "digits", [b"00000000098\0", b"zzzzzzzzzzz\0", b"-0000000001\0", b"\xff" * 12]
)
def test_a_size_that_is_not_a_number_is_refused(digits):
    header = patched(member("a.jpg")[:512], 124, digits)
    with pytest.raises(ValueError, match="for a number"):
        stated_size(header)


def test_pax_headers_name_and_size_the_next_member():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("d" * 120 + "é.jpg"))
    data = file.getvalue()
    extension = Extension()
    extension.note(b"x", 0, data[512 : 512 + stated_size(data)])
    assert extension.name_of(data[1024:]) == "d" * 120 + "é.jpg"
    extension.note(b"x", 0, b"15 size=123456\n")
    assert extension.size_of(data[1024:]) == 123456


@pytest.mark.parametrize(
    "payload",
    [b"", b"x", b"5", b"99 a=b\n", b"0 a=b\n", b"3 \n", b" " * 30, b"9" * 5000, b"7 path\n"],
)
def test_broken_pax_records_are_ignored(payload):
    extension = Extension()
    extension.note(b"x", 0, payload)
    assert extension.path in (None, "")
    assert extension.size is None
