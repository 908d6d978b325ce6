"""A folder of bounded size that keeps what was fetched over a network, for all processes.

Workers and ranks of one machine share it, and later epochs and runs find it again. Files are
published by rename; a damaged or removed one is fetched again.
"""

import contextlib
import fcntl
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import size_from_text

DEFAULT_CACHE_SIZE = "10GB"
LOCKS = 64
"""Number of locks: two processes never fetch the same chunk at the same time."""
CRC_BYTES = 4
"""At the end of a chunk's file."""
KEPT_SHARE = 0.9
"""The oldest chunks go until this share of the bound is left: a scan is not needed each time."""


@dataclass(frozen=True, slots=True)
class Cache:
    """Where the cache is and how large its chunks may be together."""

    folder: Path
    max_bytes: int


def cache_of(folder: str | os.PathLike[str] | None, size: str | int) -> Cache | None:
    """Return the cache that `cache_dir` and `cache_size` name. Raises UsageError."""
    if folder is None:
        return None
    try:
        return Cache(Path(folder).expanduser().absolute(), size_from_text(size))
    except ValueError as exc:
        raise UsageError(f"cache_size={size!r}: {exc}") from exc


class ChunkCache:
    """Chunks by name; may be used by several threads and processes."""

    def __init__(self, cache: Cache) -> None:
        """Create the folder. Raises OSError."""
        self._chunks = cache.folder / "chunks"
        self._locks = cache.folder / "locks"
        self._max_bytes = cache.max_bytes
        self._chunks.mkdir(parents=True, exist_ok=True)
        self._locks.mkdir(exist_ok=True)

    def get(self, name: str, fetch: Callable[[], bytes], size_bytes: int) -> bytes:
        """Return a chunk of this size; `fetch` brings it when it is not in the cache.

        A chunk that is larger than the bound is not kept.
        """
        path = self._chunks / name
        data = _read(path, size_bytes)
        if data is not None:
            return data
        with self._locked(f"{zlib.crc32(name.encode()) % LOCKS}"):
            data = _read(path, size_bytes)
            if data is None:
                data = fetch()
                if len(data) + CRC_BYTES <= self._max_bytes:
                    self._publish(path, data)
        return data

    def _publish(self, path: Path, data: bytes) -> None:
        with self._locked("size"):
            self._make_room(len(data) + CRC_BYTES)
            # Only one thread of one process is here at a time.
            new = self._chunks / ".new"
            with new.open("wb") as file:
                file.write(data)
                file.write(zlib.crc32(data).to_bytes(CRC_BYTES, "little"))
            new.replace(path)

    def _make_room(self, size_bytes: int) -> None:
        """Remove the chunks that were used least recently where a new one does not fit.

        The total is kept in a file. It may be too large after a kill, never too small.
        """
        total_path = self._locks / "total"
        try:
            total = int(total_path.read_text())
        except (FileNotFoundError, ValueError):
            total = self._max_bytes  # unknown: scan
        total += size_bytes
        if total > self._max_bytes:
            total = self._evict(int(self._max_bytes * KEPT_SHARE) - size_bytes) + size_bytes
        total_path.write_text(str(total))

    def _evict(self, most_bytes: int) -> int:
        """Remove chunks until at most this much is left; return how much is."""
        found = []
        with os.scandir(self._chunks) as entries:
            for entry in entries:
                status = entry.stat()
                found.append((status.st_mtime_ns, status.st_size, entry.path))
        left = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if left <= most_bytes:
                break
            Path(path).unlink(missing_ok=True)
            left -= size
        return left

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Keep other threads and processes away; the system lets go when a process dies."""
        with (self._locks / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _read(path: Path, size_bytes: int) -> bytes | None:
    """Return a chunk as it was published, and note that it was used; None when it is not there."""
    try:
        with path.open("rb") as file:
            data = file.read()
        os.utime(path)
    except FileNotFoundError:
        return None
    content, crc = data[:-CRC_BYTES], int.from_bytes(data[-CRC_BYTES:], "little")
    return content if len(content) == size_bytes and zlib.crc32(content) == crc else None
