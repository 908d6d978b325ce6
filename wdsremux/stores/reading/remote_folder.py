"""Reads a store behind a network as `UntrustedFolder` reads a folder.

Reading goes in pieces that grow while a file is read from front to back, so that one sample costs
one small request and a whole shard few large ones.
"""

import errno
import io
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Self, TypeVar

from wdsremux.core.errors import CorruptDataError, StoreError
from wdsremux.stores.base import Proof, Store, Sums, Version
from wdsremux.stores.reading.untrusted import Item, NotAFileError, TooLargeError, is_safe_name
from wdsremux.stores.retry import RetryingStore

T = TypeVar("T")

MAX_PIECE_BYTES = 4 << 20
PIECES_KEPT = 2
"""Reading the last bytes again costs no request."""


class RemoteFolder:
    """A store as a folder of untrusted files; may be used by several threads.

    Stores list the files of one folder at a time, without its folders.
    """

    reads_at_once = 8

    def __init__(self, store: Store, give_up_after_s: float) -> None:
        """Wait up to `give_up_after_s` for the end of an outage, each time."""
        self.store = RetryingStore(store, give_up_after_s, notify=None)
        self._items: dict[str, list[Item]] = {}
        """As they were when they were first listed."""
        self._versions: dict[str, Version] = {}
        """The same files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        """Release nothing: a store holds nothing open."""

    def items(self, folder: str = "") -> list[Item]:
        """Return the files of a folder, sorted by name; raises StoreError."""
        if folder not in self._items:
            versions = tuple(self.store.versions(folder))
            self._versions |= {version.name: version for version in versions}
            found = (Item(version.name, "file", version.size_bytes) for version in versions)
            self._items[folder] = sorted(found, key=lambda item: os.fsencode(item.name))
        return self._items[folder]

    def tree(self, folder: str = "") -> Iterator[Item]:
        """Yield the files of a folder."""
        yield from self.items(folder)

    def open(self, name: str) -> "RemoteFile":
        """Open a file for reading; the caller closes it.

        Raises FileNotFoundError or NotAFileError, StoreError when the store cannot be asked.
        """
        _refuse_unsafe(name)
        try:
            return RemoteFile(self.store.open(name), self)
        except StoreError as exc:
            raise self.refusal(exc) from exc

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return a file's content, None without the file; raises TooLargeError, or as `open`."""
        _refuse_unsafe(name)
        try:
            return self.store.read(name, max_bytes)
        except CorruptDataError:
            raise TooLargeError(errno.EFBIG, f"larger than {max_bytes} bytes", name) from None
        except StoreError as exc:
            raise self.refusal(exc) from exc

    def prove(self, name: str, sums: Sums) -> Proof:
        """Return how sure it is that a file has these bytes; raises as `open`, without reading."""
        listed = self._versions.get(name)
        proof = listed.proof(sums) if listed is not None else None
        if proof is not None:
            return proof
        try:
            return self.store.prove(name, sums)
        except StoreError as exc:
            raise self.refusal(exc) from exc

    def refusal(self, exc: StoreError) -> Exception:
        """Return what a failure means: OSError of one file where the store answers else."""
        try:
            next(iter(self.store.store.list()), None)
        except StoreError:
            return exc
        return OSError(errno.EIO, str(exc))


def _refuse_unsafe(name: str) -> None:
    if not is_safe_name(name):
        raise NotAFileError(errno.EINVAL, "the name leads out of the folder", name)


class RemoteFile(io.RawIOBase):
    """A file of a store, open for reading from any place; not for several threads at once."""

    def __init__(self, file: BinaryIO, folder: RemoteFolder) -> None:
        self._file = file
        # The buffer of a store would be fetched for one sample: pieces are cut here.
        self._raw: Any = file.raw if isinstance(file, io.BufferedReader) else file
        self._folder = folder
        self._size_bytes: int | None = None
        self._at = 0
        self._pieces: list[tuple[int, bytes]] = []
        """(offset, bytes) of the last pieces that were fetched, the newest last."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset; only SEEK_END asks the store, for the size."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = (self._size() if start is None else start) + offset
        return self._at

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._at

    def read(self, size: int = -1, /) -> bytes | None:
        """Return as many bytes as are asked for; fewer only at the end of the file."""
        if size < 0:
            return self.readall()
        parts = []
        while size and (piece := self._piece(size)):
            parts.append(piece)
            self._at += len(piece)
            size -= len(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as the file goes."""
        view = memoryview(buffer)
        data = self.read(len(view)) or b""
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def _size(self) -> int:
        if self._size_bytes is None:
            self._size_bytes = self._tried(lambda: int(self._raw.seek(0, os.SEEK_END)))
        return self._size_bytes

    def _piece(self, most_bytes: int) -> bytes:
        """Return bytes from here on, between one and `most_bytes`; none at the end."""
        for offset, data in reversed(self._pieces):
            if offset <= self._at < offset + len(data):
                start = self._at - offset
                return data[start : start + most_bytes]
        return self._fetched(most_bytes)[:most_bytes]

    def _fetched(self, most_bytes: int) -> bytes:
        """Fetch from here on: twice the last piece where this follows it, else what is asked."""
        if self._pieces:
            offset, newest = self._pieces[-1]
            if offset + len(newest) == self._at:
                most_bytes = max(most_bytes, min(2 * len(newest), MAX_PIECE_BYTES))
        data = self._tried(lambda: self._read(most_bytes))
        self._pieces = [*self._pieces, (self._at, data)][-PIECES_KEPT:]
        return data

    def _read(self, most_bytes: int) -> bytes:
        self._raw.seek(self._at)
        parts = []
        while most_bytes and (part := self._raw.read(most_bytes)):
            parts.append(part)
            most_bytes -= len(part)
        return b"".join(parts)

    def _tried(self, do: Callable[[], T]) -> T:
        """Call `do`; distinguish a file that cannot be read from a store that is away."""
        try:
            return self._folder.store.tried(do)
        except StoreError as exc:
            raise self._folder.refusal(exc) from exc
