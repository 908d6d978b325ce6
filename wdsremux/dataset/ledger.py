"""The state of an output: which shards are finished, by which recipe, and where a run resumes.

A shard is finished when its entry is published and its file has the size that the entry records. A
shard that a killed run left without an entry is written again, with the same bytes.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.head import Head
from wdsremux.core.manifest import (
    ENERGON_FOLDER,
    MANIFEST_NAME,
    MAX_ENTRY_BYTES,
    MAX_MANIFEST_BYTES,
    STATE_FOLDER,
    Manifest,
    ShardSummary,
    indented_json,
)
from wdsremux.core.option_values import listed
from wdsremux.core.records import Rejected
from wdsremux.dataset.card import CARD_NAME, is_ours
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.head import refuse_difference
from wdsremux.dataset.indexes.record import INDEXES_NAME, IndexRecord
from wdsremux.dataset.indexes.registry import index_names
from wdsremux.dataset.rejected import REJECTED_NAME
from wdsremux.dataset.shards.series import prefix_of_shard
from wdsremux.stores.base import Store
from wdsremux.stores.reading.prefetch import read_ahead

RECIPE_NAME = f"{STATE_FOLDER}/recipe.json"


@dataclass(frozen=True, slots=True)
class SeriesProgress:
    """The finished shards of one series."""

    shards: tuple[ShardSummary, ...] = ()
    first: int = 0
    """Number of the first shard that is asked for."""

    @property
    def is_done(self) -> bool:
        """Whether the series has its last shard."""
        return bool(self.shards) and self.shards[-1].is_last

    @property
    def number(self) -> int:
        """Number of the next shard."""
        return self.first + len(self.shards)

    def next_row(self, first: int) -> int:
        """Position of the first row that is not finished; `first` is that of the series."""
        return self.shards[-1].stop if self.shards else first


class Ledger:
    """Reads and writes the state folder of an output."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def head(self) -> Head | None:
        """Return the head that the output was begun with; None for a new output."""
        data = self._read(RECIPE_NAME)
        if data is None:
            return None
        try:
            raw = json.loads(data)
            if not isinstance(raw, dict):
                raise ValueError("it is not a JSON object")  # noqa: TRY004 (as for other damage)
            return Head.from_json(raw)
        except (ValueError, RecursionError) as exc:
            raise CorruptDataError(
                f"cannot read {RECIPE_NAME!r}: {exc}; pass --overwrite to start from scratch"
            ) from exc

    def begin(self, head: Head) -> None:
        """Write the head of a new output, or check that an existing output has the same recipe.

        An output that has only a recipe counts as new.

        Raises RecipeMismatchError naming the first difference, UsageError for a folder that has
        shards or an index that wdsremux did not write.
        """
        recorded = self.head()
        if recorded is None or not self.is_begun():
            self._refuse_foreign()
            self.write(RECIPE_NAME, indented_json(head.to_json()))
            return
        manifest = self.readable_manifest()
        is_finished = manifest is not None and manifest.head.fingerprint == recorded.fingerprint
        refuse_difference(recorded, head, is_finished=is_finished)

    def replace_head(self, head: Head) -> None:
        """Replace the head of an output by one with more rows, or with another function."""
        self.write(RECIPE_NAME, indented_json(head.to_json()))

    def adopt(self, fingerprint: str, breaks: Collection[int]) -> None:
        """Update all entries after the head of the output was replaced.

        They get the new fingerprint, and the former last shard is no longer marked as the last.
        """
        for entry in self.entries():
            shard = entry.summary
            is_last = shard.is_last and shard.stop not in breaks
            if (entry.fingerprint, shard.is_last) != (fingerprint, is_last):
                adopted = replace(
                    entry, fingerprint=fingerprint, summary=replace(shard, is_last=is_last)
                )
                self.write(entry_name(shard.name), adopted.to_bytes())

    def is_begun(self) -> bool:
        """Return whether a conversion has published anything: an entry, a shard, the index."""
        published = self._published()
        return any(name.endswith(".msgpack") for name in self._state_names()) or any(
            name in published for name, _ in self._store.list()
        )

    def _refuse_foreign(self, ours: Collection[str] = ()) -> None:
        """Refuse a folder with foreign shards or index: the conversion might replace them."""
        foreign = [
            repr(name)
            for name, _ in self._store.list()
            if (prefix_of_shard(name) or name == MANIFEST_NAME) and name not in ours
        ]
        if foreign:
            raise UsageError(
                f"the output contains {listed(foreign, 1)}, which this command did not write; "
                "choose an empty folder"
            )

    def progress(
        self, wanted: Mapping[str, tuple[int, int | None]] | None = None
    ) -> dict[tuple[str, int], SeriesProgress]:
        """Return the finished shards of each (split, copy), without a gap from the first on.

        `wanted` are the number of the first shard by split, and the number after the last.
        """
        sizes = dict(self._store.list())
        found: dict[tuple[str, int], dict[int, ShardSummary]] = {}
        for entry in self.entries():
            shard = entry.summary
            if sizes.get(shard.name) == shard.size_bytes:
                found.setdefault((shard.split, shard.copy), {})[shard.number] = shard
        progress = {}
        for series, shards in found.items():
            first, stop = (wanted or {}).get(series[0], (0, None))
            progress[series] = SeriesProgress(_without_gap(shards, first, stop), first)
        return progress

    def forget_beyond(self, progress: Mapping[tuple[str, int], SeriesProgress]) -> None:
        """Remove the entries of shards after a gap: their rows are made again, with other bytes."""
        kept = {entry_name(shard.name) for part in progress.values() for shard in part.shards}
        for name in self._state_names():
            if name.endswith(".msgpack") and name not in kept:
                self._store.remove(name)

    def entries(self, shards: Iterable[ShardSummary] | None = None) -> Iterator[ShardEntry]:
        """Yield the entries that can be read, or those of some shards, in the order of their names.

        Nothing is cached.
        """
        if shards is None:
            listed = (name for name, _ in self._store.list(STATE_FOLDER))
            names = [name for name in listed if name.endswith(".msgpack")]
        else:
            names = sorted(entry_name(shard.name) for shard in shards)
        for name, data in zip(names, read_ahead(self._store, names, MAX_ENTRY_BYTES), strict=True):
            if data is not None:
                yield ShardEntry.from_bytes(data, name)

    def rejected(self, shards: Iterable[ShardSummary]) -> Iterator[Rejected]:
        """Yield the rejected records of finished shards, in the order of their entries."""
        for entry in self.entries(shard for shard in shards if shard.left_out):
            yield from entry.rejected

    def manifest(self) -> Manifest | None:
        """Return the manifest of a finished dataset."""
        data = self._read(MANIFEST_NAME)
        return None if data is None else Manifest.from_bytes(data)

    def finished(self, fingerprint: str) -> tuple[Manifest | None, list[str]]:
        """Return the manifest of that recipe, if there is one, and the names of missing shards.

        A shard counts as missing when its file is missing or of another size, or its entry is.
        """
        manifest = self.readable_manifest()
        if manifest is None or manifest.head.fingerprint != fingerprint:
            return None, []
        files = {*self._store.list(), *((name, 0) for name in self._state_names())}
        missing = [
            shard.name
            for shard in manifest.shards
            if not {(shard.name, shard.size_bytes), (entry_name(shard.name), 0)} <= files
        ]
        return manifest, missing

    def write(self, name: str, data: bytes) -> None:
        """Publish a small file."""
        staged = self._store.stage(name)
        staged.write(data)
        staged.commit()

    def write_card(self, card: bytes) -> bool:
        """Publish the dataset card; False for a README.md that wdsremux did not write."""
        there = self._read(CARD_NAME)
        if there is not None and not is_ours(there):
            return False
        self.write(CARD_NAME, card)
        return True

    def clear(self) -> None:
        """Remove what an earlier run wrote: what its manifest, its entries and its recipe name.

        Raises UsageError, and removes nothing, when foreign shards are there too.
        """
        published = self._published()
        self._refuse_foreign(published)
        if MANIFEST_NAME in published:
            # First: a manifest may exist only while all its shards do.
            self._store.remove(MANIFEST_NAME)
        published |= self._index_names(published)
        for name, _ in (*self._store.list(), *self._store.list(ENERGON_FOLDER)):
            if name in published:
                self._store.remove(name)
        card = self._read(CARD_NAME)
        if card is not None and is_ours(card):
            self._store.remove(CARD_NAME)
        # The recipe last: while entries exist, it says which dataset they belong to.
        for name in sorted(self._state_names(), key=lambda name: name == RECIPE_NAME):
            self._store.remove(name)

    def _published(self) -> set[str]:
        """Return the names of the shards and the index that a conversion made.

        Shards that a ShardWriter wrote, or `wdsremux index` listed, have no recipe and could not
        be made again.
        """
        manifest = self.readable_manifest()
        if RECIPE_NAME not in self._state_names() and not (manifest and manifest.head.fingerprint):
            return set()
        entries = [name for name in self._state_names() if name.endswith(".msgpack")]
        names = {f"{name.rsplit('/', 1)[1].removesuffix('.msgpack')}.tar" for name in entries}
        if manifest is not None:
            names |= {MANIFEST_NAME, *(shard.name for shard in manifest.shards)}
        prefixes = self._prefixes()
        if prefixes is not None:
            # A run that was killed between a shard and its entry left a shard that can be
            # recognized only by the prefix of its series.
            names.add(MANIFEST_NAME)
            names |= {
                name
                for name, _ in self._store.list()
                if (prefix := prefix_of_shard(name)) and prefix in prefixes
            }
        return names

    def _state_names(self) -> list[str]:
        return [
            name
            for name, _ in self._store.list(STATE_FOLDER)
            if name in (RECIPE_NAME, REJECTED_NAME, INDEXES_NAME) or name.endswith(".msgpack")
        ]

    def _index_names(self, shards: Collection[str]) -> set[str]:
        """Return the names that indexes of the recorded kinds have beside these shards."""
        data = self._read(INDEXES_NAME)
        try:
            record = None if data is None else IndexRecord.from_bytes(data)
        except CorruptDataError:
            return set()
        tars = [name for name in shards if name.endswith(".tar")]
        return index_names(record.kinds, tars, self._prefixes() or ()) if record else set()

    def _prefixes(self) -> Collection[str] | None:
        """Return the prefixes of the series by recipe.json; None without such a file."""
        try:
            head = self.head()
        except CorruptDataError:
            return ()
        return None if head is None else head.series

    def readable_manifest(self) -> Manifest | None:
        """Return the manifest, if there is one that is not damaged."""
        try:
            return self.manifest()
        except CorruptDataError:
            return None

    def _read(self, name: str) -> bytes | None:
        return self._store.read(name, MAX_MANIFEST_BYTES)


def _without_gap(
    shards: Mapping[int, ShardSummary], first: int = 0, stop: int | None = None
) -> tuple[ShardSummary, ...]:
    whole: list[ShardSummary] = []
    while (shard := shards.get(first + len(whole))) is not None and shard.number != stop:
        whole.append(shard)
    return tuple(whole)
