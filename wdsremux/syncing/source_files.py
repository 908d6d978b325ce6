"""Local copies of files of the source: the files of a folder, or fetched over a network."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Protocol

from wdsremux.core.errors import CorruptDataError, StoreError, UnreachableStoreError
from wdsremux.core.manifest import MAX_ENTRY_BYTES, ShardSummary
from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.rejected import REJECTED_NAME
from wdsremux.stores.base import Sums, read_bounded
from wdsremux.stores.copying import BLOCK_BYTES, opened_file
from wdsremux.stores.reading.untrusted import open_below
from wdsremux.stores.retry import RetryingStore
from wdsremux.syncing.contents import SyncFile

COPIES = 3
"""How often a file without a record is fetched again until two copies agree."""


class SourceFiles(Protocol):
    """Provides local copies of files of the source."""

    def hold(self, item: SyncFile) -> contextlib.AbstractContextManager[tuple[Path, Sums]]:
        """Yield a file of this machine with the bytes of an item, and its sums.

        Raises CorruptDataError for a file that is missing, or differs from its record. The record
        of a file of this machine is not checked yet: sending reads it anyway.
        """


class LocalFiles:
    """The source is a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def hold(self, item: SyncFile) -> Iterator[tuple[Path, Sums]]:
        """Yield the file itself."""
        path = self._root / item.name
        _refuse_foreign(self._root, item)
        if item.sha256 is not None:
            yield path, Sums(item.size_bytes, item.sha256)
        else:
            yield path, _sums(path, item)


def _refuse_foreign(root: Path, item: SyncFile) -> None:
    """Refuse links, and small files that are too large."""
    try:
        with FileIO(open_below(root, item.name), "rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
    except FileNotFoundError as exc:
        raise CorruptDataError(f"{item.name!r} is missing") from exc
    except OSError as exc:
        raise CorruptDataError(f"{item.name!r} cannot be read: {exc.strerror or exc}") from exc
    # The list of rejected rows grows with the dataset, and is read line by line.
    is_bounded = item.sha256 is None and item.name != REJECTED_NAME
    if is_bounded and size_bytes > MAX_ENTRY_BYTES:
        raise CorruptDataError(
            f"{item.name!r} has {size_bytes} bytes, more than the maximum for such a file"
        )


class FetchedFiles:
    """The source is behind a network: each file is fetched, compared with its record, removed."""

    def __init__(
        self, source: RetryingStore, folder: Path, on_bytes: Callable[[int], None]
    ) -> None:
        """`folder` holds the copies; `on_bytes` is called with bytes as they arrive."""
        self._source = source
        self._folder = folder
        self._on_bytes = on_bytes

    @contextlib.contextmanager
    def hold(self, item: SyncFile) -> Iterator[tuple[Path, Sums]]:
        """Yield a copy, which is removed when the block ends."""
        path = self._folder / item.name.replace("/", "-")
        try:
            try:
                sums = self._fetched(item, path)
            except CorruptDataError:
                # The network may have damaged it: a second copy decides.
                sums = self._fetched(item, path)
            yield path, sums
        finally:
            path.unlink(missing_ok=True)

    def _fetched(self, item: SyncFile, path: Path) -> Sums:
        self._source.tried(lambda: self._fetch(item, path))
        sums = _sums(path, item)
        if item.sha256 is not None and sums != Sums(item.size_bytes, item.sha256):
            raise CorruptDataError(f"{item.name!r} differs from its record")
        return sums if _has_record(item) else self._compared(item, path, sums)

    def _compared(self, item: SyncFile, path: Path, sums: Sums) -> Sums:
        """Return the sums of a file without a record once its store, or a second copy, agrees."""
        for _ in range(COPIES):
            if self._source.prove(item.name, sums, path).level in ("etag", "checksum"):
                return sums
            self._source.tried(lambda: self._fetch(item, path))
            again = _sums(path, item)
            if again == sums:
                return sums
            sums = again
        raise CorruptDataError(f"{item.name!r} arrives with other bytes each time")

    def _fetch(self, item: SyncFile, path: Path) -> None:
        try:
            with self._source.store.open(item.name) as file, _made(path) as copy:
                # Bounded: shards by their record, entries by their maximum.
                left_bytes = item.size_bytes if item.is_shard else MAX_ENTRY_BYTES
                is_bounded = item.shard is not None
                while block := file.read(BLOCK_BYTES):
                    left_bytes -= len(block)
                    if is_bounded and left_bytes < 0:
                        raise CorruptDataError(
                            f"{item.name!r} is larger than its record or maximum"
                        )
                    _write(copy, block, path)
                    self._on_bytes(len(block))
        except FileNotFoundError as exc:
            raise CorruptDataError(f"{item.name!r} is missing") from exc
        except OSError as exc:
            raise UnreachableStoreError(
                f"cannot read {item.name!r} of {self._source.url!r}: {exc.strerror or exc}"
            ) from exc


@contextlib.contextmanager
def _made(path: Path) -> Iterator[FileIO]:
    """Yield a new file; unbuffered, so that closing it cannot fail."""
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
            f"cannot write temporary files in {str(path.parent)!r}: {exc.strerror}; free some "
            "space, or set TMPDIR to another folder"
        ) from exc


def _sums(path: Path, item: SyncFile) -> Sums:
    """Return the sums of a local file; an entry is compared with its shard."""
    digest = hashlib.sha256()
    is_entry = item.shard is not None and not item.is_shard
    try:
        if is_entry:
            _check_entry(path, item)
        with opened_file(path) as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
            size_bytes = file.tell()
        if is_entry and item.shard is not None:
            _check_entry_sum(digest.hexdigest(), item.name, item.shard)
    except FileNotFoundError as exc:
        raise CorruptDataError(f"{item.name!r} is missing") from exc
    except OSError as exc:
        raise CorruptDataError(f"{item.name!r} cannot be read: {exc.strerror or exc}") from exc
    return Sums(size_bytes, digest.hexdigest())


def _has_record(item: SyncFile) -> bool:
    """Return whether the SHA-256 of a file is known beforehand."""
    return item.is_shard or (item.shard is not None and item.shard.entry_sha256 != "")


def _check_entry(path: Path, item: SyncFile) -> None:
    try:
        with opened_file(path) as file:
            recorded = ShardEntry.from_bytes(
                read_bounded(file, item.name, MAX_ENTRY_BYTES), item.name
            ).summary
    except (CorruptDataError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise CorruptDataError(f"{item.name!r} is damaged") from exc
    if recorded != item.shard:
        raise CorruptDataError(f"{item.name!r} disagrees with index.json")


def _check_entry_sum(sha256: str, name: str, shard: ShardSummary) -> None:
    if shard.entry_sha256 not in ("", sha256):
        raise CorruptDataError(f"{name!r} has another SHA-256 than recorded")


def damage_of(path: Path, item: SyncFile) -> str | None:
    """Return what is wrong with a file of this machine; None when it fits its record."""
    try:
        sums = _sums(path, item)
    except CorruptDataError as exc:
        return str(exc)
    if sums.size_bytes != item.size_bytes:
        return f"{item.name!r} has {sums.size_bytes} bytes, but {item.size_bytes} are recorded"
    if item.sha256 not in (None, sums.sha256):
        return f"{item.name!r} has another SHA-256 than recorded"
    return None
