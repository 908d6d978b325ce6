"""Brings a file of the source to hand: where it lies on this machine, or fetched from a network."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Protocol

from wdsremux.core.errors import CorruptDataError, StoreError, UnreachableStoreError
from wdsremux.core.manifest import MAX_ENTRY_BYTES
from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.ledger import REJECTED_NAME
from wdsremux.stores.base import Sums
from wdsremux.stores.copying import BLOCK_BYTES
from wdsremux.stores.reading.untrusted import open_below
from wdsremux.stores.retry import RetryingStore
from wdsremux.stores.whole_files import read_bounded
from wdsremux.syncing.contents import SyncFile


class SourceFiles(Protocol):
    """Gives files of the source to those who send them."""

    def hold(self, item: SyncFile) -> contextlib.AbstractContextManager[tuple[Path, Sums]]:
        """Give a file of this machine with an item's bytes, while the block runs, and its sums.

        Raises CorruptDataError for a file that is not there, or not what is recorded. What is
        recorded of a file of this machine is not checked yet: who sends it reads it anyway.
        """


class LocalFiles:
    """The source is a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def hold(self, item: SyncFile) -> Iterator[tuple[Path, Sums]]:
        """Give the file itself."""
        path = self._root / item.name
        _refuse_foreign(self._root, item)
        if item.sha256 is not None:
            yield path, Sums(item.size_bytes, item.sha256)
        else:
            yield path, _sums(path, item)


def _refuse_foreign(root: Path, item: SyncFile) -> None:
    """Refuse what a link leads to, which may be anything, and a small file that is too large."""
    try:
        with FileIO(open_below(root, item.name), "rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
    except FileNotFoundError as exc:
        raise CorruptDataError(f"{item.name!r} is not there") from exc
    except OSError as exc:
        raise CorruptDataError(f"{item.name!r} cannot be read: {exc.strerror or exc}") from exc
    # The list of what was rejected grows with the dataset, and is read line by line.
    is_bounded = item.sha256 is None and item.name != REJECTED_NAME
    if is_bounded and size_bytes > MAX_ENTRY_BYTES:
        raise CorruptDataError(f"{item.name!r} has {size_bytes} bytes, more than any such file")


class FetchedFiles:
    """The source lies behind a network: each file is fetched, held against its record, removed."""

    def __init__(
        self, source: RetryingStore, folder: Path, on_bytes: Callable[[int], None]
    ) -> None:
        """`folder` is for the files at hand; `on_bytes` is told of bytes as they come."""
        self._source = source
        self._folder = folder
        self._on_bytes = on_bytes

    @contextlib.contextmanager
    def hold(self, item: SyncFile) -> Iterator[tuple[Path, Sums]]:
        """Give a copy, which goes when the block ends."""
        path = self._folder / item.name.replace("/", "-")
        try:
            self._source.tried(lambda: self._fetch(item, path))
            sums = _sums(path, item)
            if item.sha256 is not None and sums != Sums(item.size_bytes, item.sha256):
                raise CorruptDataError(f"{item.name!r} is not what is recorded")
            yield path, sums
        finally:
            path.unlink(missing_ok=True)

    def _fetch(self, item: SyncFile, path: Path) -> None:
        try:
            with self._source.store.open(item.name) as file, _made(path) as copy:
                # No shard is larger than recorded, and no entry than entries are.
                left_bytes = item.size_bytes if item.is_shard else MAX_ENTRY_BYTES
                is_bounded = item.shard is not None
                while block := file.read(BLOCK_BYTES):
                    left_bytes -= len(block)
                    if is_bounded and left_bytes < 0:
                        raise CorruptDataError(f"{item.name!r} is larger than it can be")
                    _write(copy, block, path)
                    self._on_bytes(len(block))
        except FileNotFoundError as exc:
            raise CorruptDataError(f"{item.name!r} is not there") from exc
        except OSError as exc:
            raise UnreachableStoreError(
                f"cannot read {item.name!r} of {self._source.url!r}: {exc.strerror or exc}"
            ) from exc


@contextlib.contextmanager
def _made(path: Path) -> Iterator[FileIO]:
    """Give a new file; unbuffered, so that closing it has nothing left to fail at."""
    with _kept(path):
        file = path.open("wb", buffering=0)
    with file:
        yield file


def _write(copy: FileIO, block: bytes, path: Path) -> None:
    rest = memoryview(block)
    with _kept(path):
        while rest:
            rest = rest[copy.write(rest) :]


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"cannot keep what is fetched in {str(path.parent)!r}: {exc.strerror}; free some "
            "space, or name another folder by TMPDIR"
        ) from exc


def _sums(path: Path, item: SyncFile) -> Sums:
    """Return the sums of a file at hand; an entry is held against its shard."""
    digest = hashlib.sha256()
    is_entry = item.shard is not None and not item.is_shard
    try:
        if is_entry:
            _check_entry(path, item)
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
            size_bytes = file.tell()
    except FileNotFoundError as exc:
        raise CorruptDataError(f"{item.name!r} is not there") from exc
    except OSError as exc:
        raise CorruptDataError(f"{item.name!r} cannot be read: {exc.strerror or exc}") from exc
    return Sums(size_bytes, digest.hexdigest())


def _check_entry(path: Path, item: SyncFile) -> None:
    try:
        with path.open("rb") as file:
            told = ShardEntry.from_bytes(read_bounded(file, item.name), item.name).summary
    except (CorruptDataError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise CorruptDataError(f"{item.name!r} is damaged") from exc
    if told != item.shard:
        raise CorruptDataError(f"{item.name!r} tells something else than index.json")


def damage_of(path: Path, item: SyncFile) -> str | None:
    """Return what is wrong with a file of this machine; None when it is as far as is recorded."""
    try:
        sums = _sums(path, item)
    except CorruptDataError as exc:
        return str(exc)
    if sums.size_bytes != item.size_bytes:
        return f"{item.name!r} has {sums.size_bytes} bytes, {item.size_bytes} are recorded"
    if item.sha256 not in (None, sums.sha256):
        return f"{item.name!r} has another SHA-256 than is recorded"
    return None
