"""A store read as a folder: few requests, no name that escapes, failures distinguished."""

import os
import random

import pytest
from support.ranged_store import RangedStore

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.core.tar.blocks import BlockReader, read_at
from wdsremux.stores.reading.remote_folder import MAX_PIECE_BYTES, RemoteFolder
from wdsremux.stores.reading.untrusted import NotAFileError, TooLargeError

CONTENT = random.Random(5).randbytes(300_000)  # noqa: S311 (seeded, to be the same)


@pytest.fixture
def target():
    target = RangedStore()
    target.files |= {"b.tar": CONTENT, "a.tar": b"abc", ".wdsremux/a.msgpack": b"entry"}
    return target


@pytest.fixture
def folder(target):
    with RemoteFolder(target, 0) as opened:
        yield opened


def test_files_are_listed_and_read(folder):
    assert [(item.name, item.kind, item.size_bytes) for item in folder.items()] == [
        ("a.tar", "file", 3),
        ("b.tar", "file", 300_000),
    ]
    assert [item.base for item in folder.items(".wdsremux")] == ["a.msgpack"]
    assert list(folder.tree()) == folder.items()
    assert folder.items("nowhere") == []
    assert folder.read(".wdsremux/a.msgpack", 100) == b"entry"
    assert folder.read("missing", 100) is None


def test_a_file_that_is_too_large_is_not_read(folder, target):
    with pytest.raises(TooLargeError):
        folder.read("b.tar", 1000)
    assert sum(size for _, _, size in target.asked) < 2000


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a//b", ".", "x\0y"])
def test_a_name_that_leads_out_is_refused(folder, name):
    with pytest.raises(NotAFileError):
        folder.open(name)


def test_any_offset_reads_as_in_a_folder(folder):
    chance = random.Random(7)  # noqa: S311
    with folder.open("b.tar") as file:
        for _ in range(200):
            offset, size = chance.randrange(310_000), chance.randrange(40_000)
            file.seek(offset)
            assert file.read(size) == CONTENT[offset : offset + size]
            assert read_at(file, 700, offset // 2) == CONTENT[offset // 2 : offset // 2 + 700]
            assert file.tell() == min(offset + size, max(offset, 300_000))
        assert file.seek(0, os.SEEK_END) == 300_000
        assert file.read() == b""
        file.seek(299_000)
        assert file.read() == CONTENT[299_000:]


def test_one_sample_costs_one_request_of_its_size(folder, target):
    with folder.open("b.tar") as file:
        file.seek(20_480)
        assert file.read(5120) == CONTENT[20_480:25_600]
    assert target.asked == [("b.tar", 20_480, 5120)]


def test_sequential_reads_are_fetched_in_growing_pieces(folder, target):
    target.files["b.tar"] = CONTENT * 100
    with folder.open("b.tar") as file:
        while file.read(100_000):
            pass
    sizes = [size for _, _, size in target.asked]
    assert sizes[:3] == [100_000, 200_000, 400_000]
    assert max(sizes) == MAX_PIECE_BYTES
    assert len(sizes) < 15


def test_reading_back_needs_no_request(folder, target):
    with folder.open("b.tar") as file:
        reader = BlockReader(file)
        assert reader.size_bytes == 300_000
        reader.take(200_000)
        before = len(target.asked)
        assert read_at(file, 512, 1024) == CONTENT[1024:1536]
        assert len(target.asked) == before
        assert reader.take(200_000) == CONTENT[200_000:]


def test_one_unreadable_file_is_not_an_unreachable_store(folder, target):
    target.broken = UnreachableStoreError("cannot read 'b.tar': the answer was cut")
    with pytest.raises(OSError, match="the answer was cut"):
        folder.read("b.tar", 1_000_000)
    with folder.open("b.tar") as file:
        target.is_away = True
        with pytest.raises(StoreError, match="the answer was cut"):
            file.read(1_000_000)
