import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.tar.blocks import BLOCK_READ, BlockReader, CrcCuts


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(i * 7 % 251 for i in range(10_000)) * 300)
    return path


def test_taps_see_all_bytes_that_are_read_or_skipped(path):
    digest = hashlib.sha256()
    content = path.read_bytes()
    with path.open("rb", buffering=0) as file:
        reader = BlockReader(file, [digest.update])
        assert reader.take(1000) == content[:1000]
        assert reader.skip(BLOCK_READ) == BLOCK_READ
        at = 1000 + BLOCK_READ
        assert reader.take(BLOCK_READ + 5) == content[at : at + BLOCK_READ + 5]
        assert reader.offset == at + BLOCK_READ + 5
        reader.finish()
    assert digest.digest() == hashlib.sha256(content).digest()


def test_a_read_at_the_end_of_the_file_returns_less(path):
    with path.open("rb", buffering=0) as file:
        reader = BlockReader(file)
        assert reader.skip(2_999_990) == 2_999_990
        assert len(reader.take(100)) == 10
        assert reader.take(100) == b""
        assert reader.skip(5) == 0


def test_the_crc_of_a_range_is_that_of_its_bytes(path):
    content = path.read_bytes()
    with path.open("rb", buffering=0) as file:
        reader = BlockReader(file)
        reader.skip(3)
        assert reader.crc32(1_500_000) == zlib.crc32(content[3:1_500_003])


@given(st.lists(st.integers(0, 40), max_size=12), st.lists(st.integers(1, 30), max_size=30))
def test_cuts_give_the_crc_of_every_piece_however_the_bytes_arrive(sizes, blocks):
    content = bytes(range(256)) * 4
    cuts = CrcCuts(sizes)
    at = 0
    for block in [*blocks, 1000]:
        cuts(memoryview(content[at : at + block]))
        at += block
    expected, start = [], 0
    for size in sizes:
        expected.append(zlib.crc32(content[start : start + size]))
        start += size
    assert list(cuts.crcs) == expected


def test_holes_are_jumped_over(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"begin")
        file.truncate(1 << 42)
    seen = []
    with path.open("rb", buffering=0) as file:
        reader = BlockReader(file, [lambda block: seen.append(len(block))], jumps=True)
        assert reader.take(5) == b"begin"
        assert reader.skip(1 << 41) == 1 << 41
        reader.finish()
        assert reader.offset == 1 << 42
    assert sum(seen) < 10 * BLOCK_READ
