import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.dataset.shards.damage import MAX_BYTES, flipped_bit


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_one_flipped_bit_is_found_to_the_bit(content, data):
    place = data.draw(st.integers(0, len(content) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(content)
    damaged[place] ^= 1 << bit
    was, now = zlib.crc32(content), zlib.crc32(damaged)
    assert flipped_bit(was, now, len(content)) == (place, bit)


def test_a_bit_of_a_long_piece_is_found():
    size = 3_000_000
    content = bytearray(np.random.default_rng(5).bytes(size))
    was = zlib.crc32(content)
    for place, bit in ((0, 7), (size - 1, 0), (1_234_567, 3)):
        content[place] ^= 1 << bit
        assert flipped_bit(was, zlib.crc32(content), size) == (place, bit)
        content[place] ^= 1 << bit


@pytest.mark.parametrize("places", [((10, 1), (11, 1)), ((0, 0), (499, 7)), ((3, 2), (3, 3))])
def test_two_flipped_bits_are_not_taken_for_one(places):
    content = bytearray(500)
    was = zlib.crc32(content)
    for place, bit in places:
        content[place] ^= 1 << bit
    assert flipped_bit(was, zlib.crc32(content), 500) is None


def test_equal_checksums_and_invalid_sizes_name_no_bit():
    assert flipped_bit(5, 5, 100) is None
    assert flipped_bit(5, 6, 0) is None
    assert flipped_bit(5, 6, MAX_BYTES + 1) is None
