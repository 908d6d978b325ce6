"""Rejected records, which are stored twice: in the entries and in rejected.jsonl."""

import hashlib
from bisect import bisect_right
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from wdsremux.core.manifest import ShardSummary
from wdsremux.core.records import Rejected
from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.rejected import rejected_line, rejected_lines
from wdsremux.processing.recovery import is_poison
from wdsremux.repairing.shard_records import ShardRecord
from wdsremux.stores.reading.untrusted import UntrustedFolder


@dataclass(slots=True)
class _RejectedCounts:
    """The lines of one shard."""

    lines: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    kept: list[Rejected] = field(default_factory=list)

    def add(self, line: bytes) -> None:
        self.lines += 1
        self.digest.update(line)


class Rejections:
    """Reads rejected.jsonl once; of most shards only a digest of their lines is kept."""

    def __init__(self, folder: UntrustedFolder, records: Iterable[ShardRecord]) -> None:
        """Keep the lines of shards whose entry is lost."""
        self.poison: dict[int, str] = {}
        """Positions of records that killed a worker, each with the reason it was rejected for."""
        self._tallies: dict[str, _RejectedCounts] = {}
        records = list(records)
        lost = {record.name for record in records if not record.has_entry}
        owners = _Owners(records)
        for item, line in rejected_lines(folder):
            if is_poison(item):
                self.poison[item.position] = item.reason
            name = owners.of(item)
            if name is not None:
                self._add(name, item, line, lost)

    def of(self, summary: ShardSummary, entry: ShardEntry | None) -> tuple[Rejected, ...] | None:
        """Return the rejected records of a shard; None when they are unknown.

        Also None when entry and lines disagree: one of them is damaged, and only the rows
        themselves can show which.
        """
        tally = self._tallies.get(summary.name, _RejectedCounts())
        has_lines = tally.lines == summary.left_out
        if entry is not None and len(entry.rejected) == summary.left_out:
            is_contradicted = has_lines and _sum_of(entry.rejected) != tally.digest.digest()
            return None if is_contradicted else entry.rejected
        return tuple(tally.kept) if has_lines else None

    def _add(self, name: str, item: Rejected, line: bytes, lost: Container[str]) -> None:
        tally = self._tallies.setdefault(name, _RejectedCounts())
        tally.add(line)
        if name in lost:
            tally.kept.append(item)


class _Owners:
    """Which shard covers a row."""

    def __init__(self, records: Iterable[ShardRecord]) -> None:
        self._shards: dict[int, list[ShardSummary]] = {}
        for record in records:
            self._shards.setdefault(record.series.copy, []).append(record.summaries[0])
        for shards in self._shards.values():
            shards.sort(key=_start)

    def of(self, item: Rejected) -> str | None:
        """Return the shard's name; None for a row that no shard covers."""
        shards = self._shards.get(item.copy, [])
        at = bisect_right(shards, item.position, key=_start) - 1
        return shards[at].name if at >= 0 and item.position < shards[at].stop else None


def _start(shard: ShardSummary) -> int:
    return shard.start


def _sum_of(rejected: Iterable[Rejected]) -> bytes:
    tally = _RejectedCounts()
    for item in rejected:
        tally.add(rejected_line(item))
    return tally.digest.digest()
