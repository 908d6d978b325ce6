"""Reads a shard once, from front to back, in large blocks that several watchers see."""

import errno
import io
import os
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO, RawIOBase

BLOCK_READ = 1 << 20

Tap = Callable[[memoryview], None]
"""Sees every byte of a file, in order; must be done with the block when it returns."""


class BlockReader:
    """Returns the bytes of a file piece by piece; every tap sees all of them.

    Holds one block of at most 1 MiB. With `jumps`, skipped holes of the file are not read, so that
    a file of `truncate -s 1T` does not take an hour; taps then miss the holes.
    """

    def __init__(
        self, file: RawIOBase | BytesIO, taps: Sequence[Tap] = (), *, jumps: bool = False
    ) -> None:
        self._file = file
        self._taps = taps
        self._begin = self._end = 0
        self.offset = 0
        """Of the next byte to be returned."""
        self.size_bytes, has_holes = _size_of(file)
        self._jumps = jumps and has_holes
        self._block = memoryview(bytearray(min(BLOCK_READ, self.size_bytes + 1)))

    def take(self, size_bytes: int) -> bytes:
        """Return the next bytes: fewer at the end of the file."""
        parts = []
        while size_bytes and (piece := self._next(size_bytes)):
            parts.append(bytes(piece))
            size_bytes -= len(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, size_bytes: int) -> int:
        """Pass over bytes and return how many there were."""
        before = self.offset
        while size_bytes:
            if self._jumps:
                size_bytes -= self._jump(size_bytes)
            piece = self._next(size_bytes)
            if not piece:
                break
            size_bytes -= len(piece)
        return self.offset - before

    def crc32(self, size_bytes: int) -> int:
        """Pass over bytes and return their CRC-32."""
        crc = 0
        while size_bytes and (piece := self._next(size_bytes)):
            crc = zlib.crc32(piece, crc)
            size_bytes -= len(piece)
        return crc

    def finish(self) -> None:
        """Pass over the rest of the file."""
        self.skip(max(self.size_bytes - self.offset, 0) + 1)

    def _next(self, most_bytes: int) -> memoryview:
        """Return a piece of what comes next, valid until the next call; empty at the end."""
        if self._begin == self._end:
            self._begin = 0
            self._end = self._file.readinto(self._block) or 0
            for tap in self._taps:
                tap(self._block[: self._end])
        piece = self._block[self._begin : min(self._begin + most_bytes, self._end)]
        self._begin += len(piece)
        self.offset += len(piece)
        return piece

    def _jump(self, most_bytes: int) -> int:
        """Go over a hole of the file, and return how many bytes that were."""
        if self._begin != self._end:
            return 0
        try:
            data = os.lseek(self._file.fileno(), self.offset, os.SEEK_DATA)
        except OSError:  # nothing but a hole follows
            data = self.size_bytes
        jumped = max(0, min(data - self.offset, most_bytes))
        self.offset += jumped
        os.lseek(self._file.fileno(), self.offset, os.SEEK_SET)
        return jumped


def read_at(file: RawIOBase, size_bytes: int, offset: int) -> bytes:
    """Return bytes of a file, fewer at its end; its position does not change."""
    before = file.tell()
    file.seek(offset)
    parts = []
    while size_bytes and (piece := file.read(size_bytes)):
        parts.append(piece)
        size_bytes -= len(piece)
    file.seek(before)
    return b"".join(parts)


def data_from(file: RawIOBase, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, block) of the data in a file from an offset on; holes are skipped."""
    while (at := _data_at(file, offset)) is not None and (block := read_at(file, BLOCK_READ, at)):
        yield at, block
        offset = at + len(block)


def _data_at(file: RawIOBase, offset: int) -> int | None:
    """Return the offset of the next data, if the system knows it; None if only a hole follows."""
    if not hasattr(os, "SEEK_DATA"):
        return offset
    try:
        return os.lseek(file.fileno(), offset, os.SEEK_DATA)
    except io.UnsupportedOperation:  # the file is behind a network
        return offset
    except OSError as exc:
        return None if exc.errno == errno.ENXIO else offset


def _size_of(file: RawIOBase | BytesIO) -> tuple[int, bool]:
    """Return (size, whether it has holes) of an open file."""
    try:
        status = os.fstat(file.fileno())
    except io.UnsupportedOperation:  # the file is behind a network
        before = file.tell()
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(before)
        return size_bytes, False
    has_holes = hasattr(os, "SEEK_DATA") and status.st_blocks * 512 < status.st_size
    return status.st_size, has_holes


class CrcCuts:
    """A tap that takes the CRC-32 of consecutive pieces of known sizes; what follows is ignored."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._left = sizes[0] if sizes else 0
        self._crc = 0
        self.crcs = array("Q")
        """Of the pieces that have passed in full."""

    def __call__(self, block: memoryview) -> None:
        """Take the CRC of the pieces, or parts of pieces, in a block."""
        at = 0
        while at < len(block) and len(self.crcs) < len(self._sizes):
            piece = block[at : at + self._left]
            self._crc = zlib.crc32(piece, self._crc)
            at += len(piece)
            self._left -= len(piece)
            if not self._left:
                self._close()

    def _close(self) -> None:
        self.crcs.append(self._crc)
        self._crc = 0
        if len(self.crcs) < len(self._sizes):
            self._left = self._sizes[len(self.crcs)]
