"""What every index is made from: where the samples and members of a shard are.

A shard that wdsremux wrote is described by its entry, so no shard is read again. In shards of
other tools, members may have any name and offset: their headers are read, but no content.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import RawIOBase
from typing import IO, Any, ClassVar, Protocol, cast

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.manifest import INDEX_WRITER, Manifest, ShardSummary
from wdsremux.core.tar.headers import split_name
from wdsremux.core.tar.walk import SeekReader, TarFault, TarWalk
from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.shards.series import prefix_of

IndexFile = tuple[str, Iterable[bytes]]
"""Name relative to the dataset, and content in parts."""


@dataclass(frozen=True, slots=True)
class IndexedMember:
    """One file of a sample."""

    name: str
    """In the tar."""
    field: str
    """What follows the first dot of its base name."""
    offset: int
    """Of its content."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class IndexedSample:
    """One sample."""

    key: str
    offset: int
    """Of its first header."""
    members: tuple[IndexedMember, ...]


@dataclass(frozen=True, slots=True)
class IndexedShard:
    """One shard."""

    summary: ShardSummary
    samples: tuple[IndexedSample, ...]
    end: int
    """Offset after the last member: the zero blocks begin here."""


class IndexSource(Protocol):
    """A dataset to index: its manifest, the entries of its shards, and the shards."""

    @property
    def manifest(self) -> Manifest:
        """The manifest, which may not be published yet."""

    def entries(self, shards: Iterable[ShardSummary]) -> Iterator[tuple[ShardSummary, ShardEntry]]:
        """Yield shards with their entries, in order. Raises CorruptDataError."""

    def open(self, shard: ShardSummary) -> IO[bytes] | RawIOBase:
        """Open a shard for reading; the caller closes it."""


class IndexBuilder:
    """Makes the files of one kind of index; by itself it makes none."""

    reads_samples: ClassVar[bool] = False
    """Whether it needs to know where each sample is."""

    @staticmethod
    def shard_file(_shard: str) -> str | None:
        """Return the name of the file that a shard gets, if any."""
        return None

    @staticmethod
    def dataset_files(_series: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the files of a dataset with these series, such as "train-c0"."""
        return ()

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def shard(self, _shard: IndexedShard) -> Iterator[IndexFile]:
        """Take the next shard, in the order of the manifest; yield the files that it has."""
        yield from ()

    def dataset(self) -> Iterator[IndexFile]:
        """Yield the files of the whole dataset, after the last shard."""
        yield from ()


def series_of(manifest: Manifest) -> dict[str, list[ShardSummary]]:
    """Return the shards of each series by its name: "train", with several copies "train-c0"."""
    found: dict[str, list[ShardSummary]] = {}
    for shard in manifest.shards:
        name = prefix_of(shard.split, shard.copy, manifest.head.copies)
        found.setdefault(name, []).append(shard)
    return found


def indexed_shards(source: IndexSource) -> Iterator[IndexedShard]:
    """Yield the shards of a dataset. Raises CorruptDataError, StoreError."""
    is_own = source.manifest.head.options.get("writer") != INDEX_WRITER
    for summary, entry in source.entries(source.manifest.shards):
        yield _from_entry(entry) if is_own else _from_headers(source, summary)


def _from_entry(entry: ShardEntry) -> IndexedShard:
    samples = tuple(
        IndexedSample(
            sample.key,
            sample.offset,
            tuple(
                IndexedMember(f"{sample.key}.{field}", field, offset, size)
                for field, offset, size in sample.members
            ),
        )
        for sample in entry.samples()
    )
    return IndexedShard(entry.summary, samples, sum(entry.sizes))


def _from_headers(source: IndexSource, summary: ShardSummary) -> IndexedShard:
    samples: list[IndexedSample] = []
    members: list[IndexedMember] = []
    key, start = "", 0
    with source.open(summary) as file:
        walk = TarWalk(SeekReader(cast("Any", file)))
        try:
            for member in walk.members():
                own, field = split_name(member.name)
                if not own or not member.is_regular:
                    continue
                if own != key and members:
                    samples.append(IndexedSample(key, start, tuple(members)))
                    members = []
                if not members:
                    key, start = own, member.header
                members.append(IndexedMember(member.name, field, member.data, member.size))
        except TarFault as exc:
            raise CorruptDataError(f"cannot index {summary.name!r}: {exc}") from exc
    if members:
        samples.append(IndexedSample(key, start, tuple(members)))
    return IndexedShard(summary, tuple(samples), walk.end)
