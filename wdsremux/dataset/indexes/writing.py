"""Writes the indexes for other loaders beside a dataset, and keeps the record of them.

Files are written after the shards and before `index.json`. Nothing here reads a shard of wdsremux.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import IO

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.manifest import (
    ENERGON_FOLDER,
    MANIFEST_NAME,
    MAX_ENTRY_BYTES,
    MAX_MANIFEST_BYTES,
    STATE_FOLDER,
    Manifest,
    ShardSummary,
)
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.indexes.record import (
    DEFAULT_KINDS,
    INDEXES_NAME,
    FileRecord,
    IndexRecord,
    described_sha256,
    kinds_beside,
    names_beside,
)
from wdsremux.dataset.indexes.registry import KINDS, index_files
from wdsremux.dataset.indexes.shards import IndexFile, IndexSource
from wdsremux.stores.base import Store, Sums
from wdsremux.stores.reading.prefetch import read_ahead


@dataclass(frozen=True, slots=True)
class StoredShards:
    """The shards of a store as what indexes are made from; the manifest may not be published."""

    store: Store
    manifest: Manifest

    def entries(self, shards: Iterable[ShardSummary]) -> Iterator[tuple[ShardSummary, ShardEntry]]:
        """Yield shards with their entries, in order. Raises CorruptDataError."""
        shards = [*shards]
        names = [entry_name(shard.name) for shard in shards]
        found = read_ahead(self.store, names, MAX_ENTRY_BYTES)
        for shard, name, data in zip(shards, names, found, strict=True):
            if data is None:
                raise CorruptDataError(f"{name!r} is missing; run the same command again")
            yield shard, ShardEntry.from_bytes(data, name)

    def open(self, shard: ShardSummary) -> IO[bytes]:
        """Open a shard for reading; the caller closes it."""
        return self.store.open(shard.name)


def read_record(store: Store) -> IndexRecord | None:
    """Return the record; None without one. Raises CorruptDataError when it is damaged."""
    data = store.read(INDEXES_NAME, MAX_MANIFEST_BYTES)
    return None if data is None else IndexRecord.from_bytes(data)


def note_kinds(store: Store, kinds: Collection[str]) -> None:
    """Record the kinds that a conversion was asked for, before it writes its first shard."""
    record = _readable_record(store) or IndexRecord(DEFAULT_KINDS)
    if not {*kinds} <= {*record.kinds}:
        noted = replace(record, kinds=_union(record.kinds, kinds), described="")
        _write(store, INDEXES_NAME, [noted.to_bytes()])


def write_indexes(
    store: Store, source: IndexSource, kinds: Collection[str] = (), *, is_checked: bool = False
) -> list[str]:
    """Write the indexes of the recorded kinds and of `kinds`; return the names of written files.

    Nothing is written where the record says that all files describe these shards, and they have
    their sizes; with `is_checked` their bytes are compared as well.

    Raises UsageError for names that an index cannot hold, CorruptDataError, StoreError.
    """
    manifest, record = source.manifest, _readable_record(store)
    sizes = _sizes(store)
    if record is None and INDEXES_NAME in sizes:
        # Its kinds are lost with it, but not the files.
        record = IndexRecord(kinds_beside(sizes.keys(), manifest))
    recorded = record.kinds if record is not None else ()
    wanted = _union(recorded, (*DEFAULT_KINDS, *kinds))
    if record is not None and record.kinds == wanted and record.describes(manifest):
        intact = [n for n, f in record.files.items() if sizes.get(n) == f.size_bytes]
        if len(intact) == len(record.files) and not (is_checked and _damaged(store, record)):
            return []
    if MANIFEST_NAME in names_beside(manifest, wanted):
        raise UsageError(
            f"the index of a shard 'index.tar' would replace {MANIFEST_NAME!r}; rename the shard, "
            "or leave webshart out of --index"
        )
    files = write_files(store, index_files(source, wanted))
    if files or record is not None or wanted != DEFAULT_KINDS:
        made = IndexRecord(wanted, described_sha256(manifest), files)
        _write(store, INDEXES_NAME, [made.to_bytes()])
    return [*files]


def write_files(store: Store, files: Iterable[IndexFile]) -> dict[str, FileRecord]:
    """Publish files, each of them whole, and return what was written."""
    return {name: _write(store, name, parts) for name, parts in files}


def _write(store: Store, name: str, parts: Iterable[bytes]) -> FileRecord:
    digest, size_bytes = hashlib.sha256(), 0
    staged = store.stage(name)
    try:
        for part in parts:
            staged.write(part)
            digest.update(part)
            size_bytes += len(part)
        staged.commit()
    except BaseException:
        staged.discard()
        raise
    return FileRecord(size_bytes, digest.hexdigest())


def _readable_record(store: Store) -> IndexRecord | None:
    try:
        return read_record(store)
    except CorruptDataError:
        return None


def _sizes(store: Store) -> dict[str, int]:
    return dict((*store.list(), *store.list(STATE_FOLDER), *store.list(ENERGON_FOLDER)))


def _damaged(store: Store, record: IndexRecord) -> list[str]:
    """Return the recorded files whose bytes are not the recorded ones."""
    sums = {name: Sums(one.size_bytes, one.sha256) for name, one in record.files.items()}
    return [name for name, own in sums.items() if not store.prove(name, own).is_there]


def _union(recorded: Collection[str], kinds: Collection[str]) -> tuple[str, ...]:
    return tuple(kind for kind in KINDS if kind in recorded or kind in kinds)
