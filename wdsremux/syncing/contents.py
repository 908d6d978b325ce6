"""What a store holds of a dataset, and which of its files a sync sends."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from wdsremux.core.errors import CorruptDataError, SourceError
from wdsremux.core.manifest import (
    ENERGON_FOLDER,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    STATE_FOLDER,
    Manifest,
    ShardSummary,
)
from wdsremux.dataset.card import CARD_NAME
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.indexes.record import INDEXES_NAME, FileRecord, IndexRecord
from wdsremux.dataset.indexes.writing import read_record
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.dataset.rejected import REJECTED_NAME
from wdsremux.dataset.validation import validated_manifest
from wdsremux.stores.base import Version
from wdsremux.stores.reading.untrusted import is_safe_name
from wdsremux.stores.retry import RetryingStore


@dataclass(frozen=True, slots=True)
class SyncFile:
    """A file that a sync sends."""

    name: str
    size_bytes: int
    sha256: str | None = None
    """As recorded; None for files without a record."""
    shard: ShardSummary | None = None
    """The shard that it is, or that it is the entry of."""

    @property
    def is_shard(self) -> bool:
        """Whether it is a shard itself."""
        return self.sha256 is not None


@dataclass(frozen=True, slots=True)
class Contents:
    """The files at one end of a sync."""

    sizes: Mapping[str, int]
    """Bytes of every file in the dataset's two folders."""
    index: bytes | None
    manifest: Manifest | None
    """None without an index of wdsremux."""
    shards: Mapping[str, ShardSummary]
    """Records of shards whose file exists with its size."""
    versions: Mapping[str, Version] = field(default_factory=dict)
    """The same files as `sizes`, with what proves them where the store lists it."""
    indexes: IndexRecord | None = None
    """The record of the indexes for other loaders, if there is one that can be read."""
    index_files: Mapping[str, FileRecord] = field(default_factory=dict)
    """The files that it names."""
    has_current_indexes: bool = False
    """Whether they describe the shards."""

    @property
    def has_state(self) -> bool:
        """Whether a run or a sync of wdsremux has begun at this store."""
        return any(name.startswith(f"{STATE_FOLDER}/") for name in self.sizes)

    def receipt(self, shard: ShardSummary) -> Mapping[str, str]:
        """Return the receipt by which the store can be asked for a shard."""
        known = self.manifest.published.get("receipts", {}) if self.manifest is not None else {}
        recorded = self.shards.get(shard.name)
        is_same = recorded is not None and recorded.sha256 == shard.sha256
        receipt: Mapping[str, str] = known.get(shard.name, {}) if is_same else {}
        return receipt


def contents_of(store: RetryingStore) -> Contents:
    """List a store and read its `index.json`."""
    versions = {v.name: v for v in (*store.versions(), *store.versions(STATE_FOLDER))}
    sizes = {name: version.size_bytes for name, version in versions.items()}
    index, manifest = _read_manifest(store) if MANIFEST_NAME in sizes else (None, None)
    recorded = manifest.shards if manifest is not None else ()
    shards = {s.name: s for s in recorded if sizes.get(s.name) == s.size_bytes}
    indexes = _indexes(store) if INDEXES_NAME in sizes else None
    if indexes is not None and "energon" in indexes.kinds:
        versions |= {version.name: version for version in store.versions(ENERGON_FOLDER)}
        sizes = {name: version.size_bytes for name, version in versions.items()}
    names = indexes.names(manifest) if indexes is not None and manifest is not None else ()
    return Contents(
        sizes=sizes,
        index=index,
        manifest=manifest,
        shards=shards,
        versions=versions,
        indexes=indexes,
        index_files={name: indexes.files[name] for name in names} if indexes is not None else {},
        has_current_indexes=(
            indexes is not None and manifest is not None and indexes.describes(manifest)
        ),
    )


def _read_manifest(store: RetryingStore) -> tuple[bytes | None, Manifest | None]:
    """Return `index.json` and what it says; None for what cannot be read."""
    index = None
    # The network may damage it: a second copy decides.
    for _ in range(1 if store.root is not None else 2):
        index = store.read(MANIFEST_NAME, MAX_MANIFEST_BYTES)
        with contextlib.suppress(CorruptDataError):
            return index, None if index is None else _manifest(index)
    return index, None


def finished_contents(store: RetryingStore) -> tuple[Contents, Manifest]:
    """Return what a finished dataset holds. Raises SourceError for anything else."""
    found, url = contents_of(store), store.url
    if found.index is None:
        if RECIPE_NAME in found.sizes:
            raise SourceError(
                f"{url!r} is not finished: it has no {MANIFEST_NAME}; run the same convert command "
                "again"
            )
        raise SourceError(
            f"{url!r} has no {MANIFEST_NAME}; check the name, or run `wdsremux index` on "
            "shards from another tool first"
        )
    try:
        return found, _manifest(found.index)
    except CorruptDataError as exc:
        raise SourceError(
            f"{url!r}: {exc}; run `wdsremux repair` or `wdsremux index` on it first"
        ) from exc


def shard_items(manifest: Manifest) -> list[SyncFile]:
    """Return the shards."""
    return [
        SyncFile(shard.name, shard.size_bytes, shard.sha256, shard) for shard in manifest.shards
    ]


def small_items(here: Contents, manifest: Manifest) -> Iterator[SyncFile]:
    """Yield the files beside the shards, except card and index, in the order of sending.

    A missing entry has size 0: reading it reports that.
    """
    for shard in manifest.shards:
        name = entry_name(shard.name)
        yield SyncFile(name, here.sizes.get(name, 0), shard=shard)
    for name in (RECIPE_NAME, REJECTED_NAME):
        if name in here.sizes:
            yield SyncFile(name, here.sizes[name])
    if here.has_current_indexes:
        for name in (*here.index_files, INDEXES_NAME):
            yield SyncFile(name, here.sizes.get(name, 0))


def stale_names(here: Contents, manifest: Manifest, there: Contents) -> list[str]:
    """Return our files at the destination that the manifest does not name any more.

    Entries name shards whose manifest was replaced before they were removed, so they are removed
    after their shards.
    """
    entries = {name for name in there.sizes if name.endswith(".msgpack")}
    shards = {f"{name.rsplit('/', 1)[1].removesuffix('.msgpack')}.tar" for name in entries}
    if there.manifest is not None:
        shards |= {shard.name for shard in there.manifest.shards}
    shards -= {shard.name for shard in manifest.shards}
    found = [*sorted(shards), *sorted(entry_name(shard) for shard in shards)]
    if there.manifest is not None:
        found += [name for name in (RECIPE_NAME, REJECTED_NAME) if name not in here.sizes]
    found += _stale_indexes(here, manifest, there)
    return [name for name in found if name in there.sizes and name != CARD_NAME]


def _stale_indexes(here: Contents, manifest: Manifest, there: Contents) -> list[str]:
    """Return the indexes for other loaders at the destination that will describe other shards.

    Those that were made there, for the shards that are copied, stay.
    """
    if there.indexes is None:
        return []
    if here.has_current_indexes:
        return sorted({*there.index_files} - {*here.index_files})
    return [] if there.indexes.describes(manifest) else [*there.index_files, INDEXES_NAME]


def is_same_dataset(one: Manifest | None, other: Manifest) -> bool:
    """Return whether two manifests are equal, except for where they are published."""
    return one is not None and replace(one, published={}) == replace(other, published={})


def _manifest(index: bytes) -> Manifest:
    """Read a manifest whose file names are safe. Raises CorruptDataError."""
    manifest = validated_manifest(index)
    names = [shard.name for shard in manifest.shards]
    if not all(_is_shard_name(name) for name in names):
        raise CorruptDataError(
            f"cannot read {MANIFEST_NAME!r}: the name of a shard leads out of the folder"
        )
    if len(set(names)) != len(names):
        raise CorruptDataError(f"cannot read {MANIFEST_NAME!r}: it lists a shard twice")
    return manifest


def _indexes(store: RetryingStore) -> IndexRecord | None:
    try:
        return read_record(store)
    except CorruptDataError:
        return None


def _is_shard_name(name: str) -> bool:
    return is_safe_name(name) and "/" not in name and name.endswith(".tar")
