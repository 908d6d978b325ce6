"""Finds which one bit of a damaged piece is flipped, from its CRC-32 before and after.

CRC-32 is linear: the two CRCs differ by a value that depends on nothing but the flipped bits and
how far they are from the end. For one bit this is a discrete logarithm, solved in baby and giant
steps whose work is done by zlib.
"""

import zlib
from math import isqrt

_ONES = 0xFFFFFFFF
MAX_BYTES = 1 << 24
"""In longer pieces nothing is searched: two flipped bits would often pass for one elsewhere."""


def flipped_bit(was: int, now: int, size_bytes: int) -> tuple[int, int] | None:
    """Return (byte, bit) whose flip turns one CRC-32 into the other; None when no single one does.

    Bit 0 is the lowest of its byte. Other damage passes for a single flipped bit with a probability
    of 8 × size_bytes / 2^32.
    """
    difference = was ^ now
    if not difference or not 0 < size_bytes <= MAX_BYTES:
        return None
    step = isqrt(size_bytes) + 1
    baby: dict[int, int] = {}
    state = difference
    for zeros in range(step):
        baby.setdefault(state, zeros)
        state = _after_zeros(state, b"\0")
    giant_step = bytes(step)
    states = [_after_zeros(0, bytes([1 << bit])) for bit in range(8)]
    for giant in range(0, size_bytes + step, step):
        for bit, state in enumerate(states):
            zeros = giant - baby.get(state, giant + 1)
            if 0 <= zeros < size_bytes:
                return size_bytes - 1 - zeros, bit
        states = [_after_zeros(state, giant_step) for state in states]
    return None


def _after_zeros(state: int, data: bytes) -> int:
    """Return the CRC register, without its inversions, after more bytes."""
    return zlib.crc32(data, state ^ _ONES) ^ _ONES
