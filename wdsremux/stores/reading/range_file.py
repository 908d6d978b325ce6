"""A seekable file behind a network: what is read is fetched in blocks.

Short because all stores behind a network share it.
"""

import io
from collections.abc import Callable
from typing import Any, BinaryIO

BLOCK_BYTES = 4 << 20
"""The least that one request asks for: a shard takes hundreds of them, an index one."""


def open_ranges(size_bytes: int, fetch: Callable[[int, int], bytes]) -> BinaryIO:
    """Return a file of that size; `fetch(start, stop)` returns all the bytes there, or raises."""
    return io.BufferedReader(_RangeFile(size_bytes, fetch), max(1, min(BLOCK_BYTES, size_bytes)))


class _RangeFile(io.RawIOBase):
    """Fetches exactly what it is asked for."""

    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size, self._fetch, self._at = size_bytes, fetch, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        stop = min(self._size, self._at + len(buffer))
        if stop <= self._at:
            return 0
        data = self._fetch(self._at, stop)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Fetch the rest in blocks; Python's own would ask for 8 KiB at a time."""
        parts = []
        while self._at < self._size:
            parts.append(self._fetch(self._at, min(self._size, self._at + BLOCK_BYTES)))
            self._at += len(parts[-1])
        return b"".join(parts)
