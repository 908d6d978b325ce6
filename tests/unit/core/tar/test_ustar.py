"""Members and files of a tar: byte for byte what `tarfile` writes."""

import io
import string
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.tar import ustar as tarbytes

names = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=100)
sizes = st.integers(0, 3000) | st.sampled_from([511, 512, 513, 1024, 9216, 9728, 10_240])
members = st.lists(st.tuples(names, sizes), max_size=12)


def tarfile_bytes(contents):
    """Return what the tar module makes of [(name, content)]."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def our_bytes(contents):
    payload = b"".join(
        tarbytes.header(name, len(content)) + content + tarbytes.padding(len(content))
        for name, content in contents
    )
    return payload + tarbytes.trailer(len(payload))


@given(members)
def test_a_whole_file_is_what_the_tar_module_writes(described):
    contents = [(name, bytes([i % 256]) * size) for i, (name, size) in enumerate(described)]
    assert our_bytes(contents) == tarfile_bytes(contents)


@given(members)
def test_the_size_of_a_file_is_known_before_it_is_written(described):
    contents = [(name, bytes(size)) for name, size in described]
    payload = sum(tarbytes.member_bytes(size) for _, size in described)
    assert tarbytes.file_bytes(payload) == len(tarfile_bytes(contents))


@given(st.lists(sizes, min_size=1, max_size=5))
def test_offsets_are_those_at_which_the_tar_module_finds_the_contents(member_sizes):
    data = our_bytes([(f"k.{i}", bytes(size)) for i, size in enumerate(member_sizes)])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tuple(member.offset_data for member in tar)
    assert tarbytes.member_offsets(tuple(member_sizes)) == found


@pytest.mark.parametrize("size", [0, 8**11 - 1, 2**31, 2**32 + 1])
def test_a_header_of_any_size_is_what_the_tar_module_writes(size):
    info = tarfile.TarInfo("000000001.jpg")
    info.size = size
    expected = info.tobuf(tarfile.USTAR_FORMAT)
    assert tarbytes.header("000000001.jpg", size) == expected


def test_a_name_of_a_hundred_bytes_needs_no_prefix():
    name = "k" * 96 + ".jpg"
    header = tarbytes.header(name, 1)
    assert len(header) == 512
    assert tarfile.TarInfo.frombuf(header, "ascii", "strict").name == name


@pytest.mark.parametrize("name", ["", "k" * 101, "k" * 97 + ".jpg"])
def test_a_name_that_does_not_fit_is_refused(name):
    with pytest.raises(ValueError, match="a ustar header cannot hold"):
        tarbytes.header(name, 1)


@pytest.mark.parametrize("size", [-1, 8**11])
def test_a_size_that_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match=r"a ustar header cannot hold 'a\.jpg'"):
        tarbytes.header("a.jpg", size)


def test_a_name_outside_of_ascii_is_refused():
    with pytest.raises(ValueError, match="ascii"):
        tarbytes.header("ä.jpg", 1)


def test_an_empty_tar_is_one_record_of_zeros():
    assert tarbytes.trailer(0) == bytes(10_240)
