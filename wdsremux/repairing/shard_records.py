"""What manifest and entries record of the shards; impossible records are ignored."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from wdsremux.core.head import Head
from wdsremux.core.manifest import STATE_FOLDER, Manifest, ShardSummary
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.reading import read_entry
from wdsremux.dataset.shards.series import prefix_of, prefix_of_shard, shard_name
from wdsremux.processing.recovery import is_poison
from wdsremux.stores.reading.untrusted import UntrustedFolder


@dataclass(frozen=True, slots=True)
class Series:
    """One copy of a split."""

    number: int
    """Of the split, in the order of the dataset."""
    split: str
    copy: int
    prefix: str


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What is recorded of one shard."""

    series: Series
    summaries: tuple[ShardSummary, ...]
    """By manifest and entry: one where they agree, otherwise two."""
    has_entry: bool
    """Whether its entry can be read and makes sense."""

    @property
    def name(self) -> str:
        """Name of the shard."""
        return self.summaries[0].name

    @property
    def sums(self) -> frozenset[str]:
        """The SHA-256 sums it may have."""
        return frozenset(summary.sha256 for summary in self.summaries)


class Gap(NamedTuple):
    """A run of shards without a record, before one that has one."""

    series: Series
    number: int
    """Of the first of them."""
    shards: int
    start: int | None
    """Position of their first row; None at the beginning of the series."""
    stop: int
    """Position after their last row."""


def series_of(head: Head) -> list[Series]:
    """Return the series of a dataset, in its order."""
    copies = head.copies
    found = []
    for number, prefix in enumerate(head.series):
        copy = number % copies
        split = prefix if copies == 1 else prefix.removesuffix(f"-c{copy}")
        found.append(Series(number // copies, split, copy, prefix_of(split, copy, copies)))
    return found


class ShardRecords:
    """The records of all shards, and the rows that killed workers."""

    def __init__(self, folder: UntrustedFolder, head: Head, manifest: Manifest | None) -> None:
        self._folder = folder
        self._fingerprint = head.fingerprint
        self.series = series_of(head)
        self.poison: dict[int, str] = {}
        """Positions of rows that killed a worker, each with the reason of its rejection."""
        of_entries = list(self._summaries())
        listed = manifest.shards if manifest is not None else ()
        by_series: dict[str, dict[int, list[ShardSummary]]] = {s.prefix: {} for s in self.series}
        known = {series.prefix: series for series in self.series}
        for summary in (*listed, *of_entries):
            series = known.get(prefix_of_shard(summary.name))
            if series is not None and _is_possible(summary, series):
                by_series[series.prefix].setdefault(summary.number, []).append(summary)
        self._by_series = {
            series.prefix: _records_of(series, by_series[series.prefix], set(of_entries))
            for series in self.series
        }

    def __iter__(self) -> Iterator[ShardRecord]:
        """Yield the records in the order of the manifest."""
        for records in self._by_series.values():
            yield from (records[number] for number in sorted(records))

    def entry(self, record: ShardRecord) -> ShardEntry | None:
        """Read a shard's entry; None when it is lost or disagrees with the records."""
        entry = self.read(entry_name(record.name))
        return entry if entry is not None and entry.summary in record.summaries else None

    def gaps(self) -> Iterator[Gap]:
        """Yield the runs of shards that must exist, but have no record."""
        for series in self.series:
            records, stop = self._by_series[series.prefix], None
            number = 0
            for known in sorted(records):
                summary = records[known].summaries[0]
                if known > number:
                    yield Gap(series, number, known - number, stop, summary.start)
                number, stop = known + 1, summary.stop

    @property
    def is_finished(self) -> bool:
        """Whether every series has its last shard."""
        ends = [records[max(records)] for records in self._by_series.values() if records]
        return len(ends) == len(self.series) and all(end.summaries[0].is_last for end in ends)

    def first_row(self, number: int) -> int | None:
        """Return the position of a split's first row; None when it is not recorded.

        That is the case when the first shard of the first split has no record.
        """
        starts = [
            records[0].summaries[0].start
            for series in self.series
            if series.number == number and 0 in (records := self._by_series[series.prefix])
        ]
        if starts or number == 0:
            return starts[0] if starts else None
        return max(r.summaries[0].stop for r in self if r.series.number == number - 1)

    def _summaries(self) -> Iterator[ShardSummary]:
        """Yield the summaries of the entries, and collect the rows that killed a worker."""
        for item in self._folder.items(STATE_FOLDER):
            if item.name.endswith(".msgpack"):
                entry = self.read(item.name)
                if entry is not None:
                    for rejected in filter(is_poison, entry.rejected):
                        self.poison[rejected.position] = rejected.reason
                    yield entry.summary

    def read(self, name: str) -> ShardEntry | None:
        """Return an entry by the name of its file; None when it is lost or not of this dataset."""
        try:
            entry, _ = read_entry(self._folder, name, is_ours=True)
        except OSError:
            return None
        # An entry of another conversion does not count.
        is_ours = entry is not None and (
            entry.fingerprint == self._fingerprint and entry_name(entry.summary.name) == name
        )
        return entry if is_ours else None


def _records_of(
    series: Series, found: Mapping[int, Sequence[ShardSummary]], of_entries: Container[ShardSummary]
) -> dict[int, ShardRecord]:
    """Return the records of a series by number; `of_entries` are the summaries in entries."""
    records, last = {}, max(found, default=0)
    for number, summaries in found.items():
        distinct = tuple(dict.fromkeys(summaries))
        is_last = number == last
        fit = tuple(s for s in distinct if s.is_last == is_last) or distinct
        records[number] = ShardRecord(series, fit, has_entry=any(s in of_entries for s in fit))
    return records


def _is_possible(summary: ShardSummary, series: Series) -> bool:
    """Return whether a summary can be true of a shard of a series."""
    return (
        (summary.split, summary.copy) == (series.split, series.copy)
        and summary.name == shard_name(series.prefix, summary.number)
        # A shard begins with the sample that did not fit into the one before.
        and (summary.number == 0 or summary.start == summary.first_position)
        and summary.samples + summary.left_out == summary.stop - summary.start + summary.expanded
    )
