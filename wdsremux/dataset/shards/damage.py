"""Finds the damage in a shard: single flipped bits, samples, the end."""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import RawIOBase
from itertools import accumulate
from math import isqrt

from wdsremux.core.tar import ustar
from wdsremux.core.tar.blocks import BLOCK_READ, BlockReader, data_from, read_at
from wdsremux.dataset.entry import SampleEntry, ShardEntry

_ONES = 0xFFFFFFFF


MAX_BYTES = 1 << 24
"""Longer pieces are not searched: two flipped bits would often look like one elsewhere."""


def flipped_bit(was: int, now: int, size_bytes: int) -> tuple[int, int] | None:
    """Return (byte, bit) whose flip turns one CRC-32 into the other; None when no single one does.

    Bit 0 is the lowest of its byte. Other damage looks like a single flipped bit with a probability
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


_ZEROS = bytes(BLOCK_READ)


@dataclass(frozen=True, slots=True)
class Damage:
    """A sample whose CRC-32 differs from the one in its entry."""

    key: str
    offset: int
    """Byte in the shard where the damage begins, as near as can be determined."""
    detail: str


def damaged_samples(file: RawIOBase, entry: ShardEntry, *, is_ours: bool) -> Iterator[Damage]:
    """Yield the damaged samples among those that are within the file; reads all of it.

    `is_ours` says that headers and padding are as `ustar` makes them, so that damage in them can
    be located to the byte.
    """
    file.seek(0)
    reader = BlockReader(file)
    for sample in entry.samples():
        if sample.offset + sample.size_bytes > reader.size_bytes:
            return
        crc = reader.crc32(sample.size_bytes)
        if crc != sample.crc32:
            yield _damage(file, sample, crc, is_ours=is_ours)


def whole_samples(entry: ShardEntry, size_bytes: int) -> int:
    """Return how many samples are within the first bytes of a shard."""
    return bisect_right(list(accumulate(entry.sizes)), size_bytes)


def sample_at(entry: ShardEntry, offset: int) -> str | None:
    """Return the key of the sample a byte belongs to; None behind the last one."""
    number = whole_samples(entry, offset)
    return entry.keys[number] if number < len(entry.keys) else None


def damaged_end(
    file: RawIOBase, entry: ShardEntry, on_bytes: Callable[[int], None] = lambda _: None
) -> int | None:
    """Return where the bytes after the last sample are not zero; None when they all are.

    `on_bytes` gets the number of bytes read: after the samples of a damaged shard, that may be a
    lot.
    """
    for offset, block in data_from(file, sum(entry.sizes)):
        on_bytes(len(block))
        if block != _ZEROS[: len(block)]:
            return offset + len(block) - len(block.lstrip(b"\0"))
    return None


def _damage(file: RawIOBase, sample: SampleEntry, crc: int, *, is_ours: bool) -> Damage:
    offset, how = _known_difference(file, sample) if is_ours else None, ""
    flip = flipped_bit(sample.crc32, crc, sample.size_bytes)
    if flip is not None and (offset is None or offset == sample.offset + flip[0]):
        offset, how = sample.offset + flip[0], f"bit {flip[1]} is flipped"
    if offset is None:
        offset = _block_of_zeros(file, sample)
        how = "a block of zeros" if offset is not None else ""
    if offset is None:
        where = "its content" if is_ours else "somewhere in it"
        return Damage(sample.key, _first_content(sample), where)
    return Damage(sample.key, offset, ", ".join(filter(None, (_part_name(sample, offset), how))))


def _first_content(sample: SampleEntry) -> int:
    return sample.members[0][1] if sample.members else sample.offset


def _known_difference(file: RawIOBase, sample: SampleEntry) -> int | None:
    """Return the first wrong byte of a header or of padding."""
    for extension, offset, size in sample.members:
        name = f"{sample.key}.{extension}"
        for start, expected in (
            (offset - ustar.BLOCK_BYTES, ustar.header(name, size)),
            (offset + size, ustar.padding(size)),
        ):
            found = read_at(file, len(expected), start)
            if found != expected:
                pairs = zip(found, expected, strict=False)
                return start + next((i for i, (one, other) in enumerate(pairs) if one != other), 0)
    return None


def _block_of_zeros(file: RawIOBase, sample: SampleEntry) -> int | None:
    """Return the first block of a sample that is all zeros, as a lost sector is.

    JPEG and JSON never contain 512 of them in a row.
    """
    block_bytes = ustar.BLOCK_BYTES
    stop = sample.offset + sample.size_bytes
    for start in range(sample.offset, stop, BLOCK_READ):
        piece = read_at(file, min(BLOCK_READ, stop - start), start)
        for at in range(0, len(piece), block_bytes):
            if piece[at : at + block_bytes] == _ZEROS[:block_bytes]:
                return start + at
    return None


def _part_name(sample: SampleEntry, offset: int) -> str:
    """Name the part of a sample that a byte belongs to."""
    for extension, start, size in sample.members:
        if offset < start:
            return f"header of .{extension}"
        if offset < start + size:
            return f"content of .{extension}"
        if offset < start + size + len(ustar.padding(size)):
            return f"padding after .{extension}"
    return ""
