import io
import tarfile

import pytest
from support.verified import gzipped, member, patched, write_tar

from wdsremux.core.tar.blocks import BlockReader
from wdsremux.core.tar.walk import TarFault, TarWalk


def walked(path):
    """Return (members, walk) of a tar; members as (name, data offset, size)."""
    with path.open("rb", buffering=0) as file:
        walk = TarWalk(BlockReader(file))
        members = list(walk.members())
        return members, walk, walk.tail()


def fault(path):
    with pytest.raises(TarFault) as caught:
        walked(path)
    return caught.value


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_sees(tmp_path, form):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=form) as tar:
        for i, name in enumerate(("a.jpg", "dir/b.seg.png", "d" * 90 + ".json")):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = i * 600, 1.5 if form == tarfile.PAX_FORMAT else 1
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    members, walk, tail = walked(path)
    with tarfile.open(path) as tar:
        expected = [(m.name, m.offset, m.offset_data, m.size) for m in tar]
    assert [(m.name, m.header, m.data, m.size) for m in members] == expected
    assert walk.has_end_blocks
    assert tail is None


def test_links_devices_and_folders_have_no_content(tmp_path):
    kinds = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    # Whatever size such a header claims: nothing follows it.
    parts = [patched(member(f"m{k!r}", kind=k), 124, b"00000100000\0") for k in kinds]
    members, _, _ = walked(write_tar(tmp_path / "a.tar", [*parts, member("a.jpg")]))
    assert [m.is_regular for m in members] == [False] * 5 + [True]


def test_an_invalid_header_is_reported_with_its_offset(tmp_path):
    path = write_tar(tmp_path / "a.tar", [member("a.jpg"), b"garbage!" * 64])
    found = fault(path)
    assert (found.kind, found.offset) == ("damaged", 1024)


@pytest.mark.parametrize("cut", [100, 512, 600, 1023])
def test_a_truncated_tar_is_reported_at_any_length(tmp_path, cut):
    path = tmp_path / "a.tar"
    path.write_bytes((member("a.jpg") + member("b.jpg", b"x" * 511))[: 1024 + cut])
    assert fault(path).kind == "cut"


def test_a_cut_between_members_is_an_end_without_end_blocks(tmp_path):
    members, walk, _ = walked(write_tar(tmp_path / "a.tar", [member("a.jpg")], end=b""))
    assert len(members) == 1
    assert not walk.has_end_blocks
    _, walk, _ = walked(write_tar(tmp_path / "b.tar", [member("a.jpg")], end=bytes(512)))
    assert not walk.has_end_blocks


@pytest.mark.parametrize("size", [1 << 62, 8**11 - 1, 1 << 20])
def test_a_size_beyond_the_file_is_reported_without_reading_it(tmp_path, size):
    header = tarfile.TarInfo("a.jpg")
    header.size = size
    path = write_tar(tmp_path / "a.tar", [header.tobuf(tarfile.GNU_FORMAT)])
    found = fault(path)
    assert found.kind == "cut"
    assert str(size) in found.detail


@pytest.mark.parametrize("kind", [b"x", b"L", b"g", b"K"])
def test_an_extension_header_may_not_claim_much(tmp_path, kind):
    info = tarfile.TarInfo("a")
    info.size, info.type = (1 << 20) + 1, kind
    path = write_tar(tmp_path / "a.tar", [info.tobuf(tarfile.GNU_FORMAT), bytes(2 << 20)])
    assert fault(path).kind == "damaged"


def test_data_behind_the_end_is_found(tmp_path):
    path = write_tar(tmp_path / "a.tar", [member("a.jpg")], end=bytes(5000) + b"!" + bytes(119))
    assert walked(path)[2] == 1024 + 5000


def test_a_long_tail_is_not_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", [member("a.jpg")])
    with path.open("r+b") as file:
        file.truncate(1 << 43)
    assert walked(path)[2] == 2048


def test_a_compressed_tar_is_called_so(tmp_path):
    gzipped(tmp_path / "a.tar", b"")
    with (tmp_path / "a.tar").open("ab") as file:
        file.write(bytes(1024))
    assert "compressed" in fault(tmp_path / "a.tar").detail


def test_a_sparse_member_is_marked(tmp_path):
    info = tarfile.TarInfo("a.jpg")
    info.type = tarfile.GNUTYPE_SPARSE
    members, _, _ = walked(write_tar(tmp_path / "a.tar", [info.tobuf(tarfile.GNU_FORMAT)]))
    assert members[0].is_sparse
