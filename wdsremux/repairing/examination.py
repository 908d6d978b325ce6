"""Reads shards and compares them, and their entries, with the records."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wdsremux.core.head import Head
from wdsremux.core.manifest import ShardSummary
from wdsremux.core.records import Rejected
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.shards.readback import ShardContent, read_back
from wdsremux.repairing.recorded_head import read
from wdsremux.repairing.rejections import Rejections
from wdsremux.repairing.shard_records import ShardRecord, ShardRecords
from wdsremux.stores.reading.prefetch import prefetch
from wdsremux.stores.reading.untrusted import UntrustedFolder


@dataclass(frozen=True, slots=True)
class ShardVerdict:
    """The outcome for one shard."""

    record: ShardRecord
    problem: str | None
    """Why the shard has to be made again: it is missing or damaged; None for an intact one."""
    summary: ShardSummary
    """The correct summary of the shard, as far as it is known."""
    rejected: tuple[Rejected, ...] | None = None
    """The rejected records it covers; None when only its rows can show them."""
    entry: ShardEntry | None = None
    """The entry that an intact shard should have, where its entry differs or is missing."""
    sha256: str | None = None
    """Of the existing file."""


class Examination:
    """Examines shards, several at a time."""

    def __init__(
        self,
        folder: UntrustedFolder,
        head: Head,
        records: ShardRecords,
        rejections: Rejections,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._fingerprint = head.fingerprint
        self._extensions = tuple(head.features)
        self._records = records
        self._rejections = rejections
        self._on_bytes = on_bytes
        self._is_stopped = False

    def verdicts(self, records: Iterable[ShardRecord], workers: int) -> Iterator[ShardVerdict]:
        """Yield the outcome for each shard, in order; a few are read ahead."""
        found = prefetch(self.verdict, records, at_once=workers, name="repair")
        try:
            for _, give in found:
                yield give()
        finally:
            # After an interruption the threads end at their next block.
            self._is_stopped = True
            found.close()

    def verdict(self, record: ShardRecord) -> ShardVerdict:
        """Read one shard and its entry."""
        entry = self._records.entry(record)
        content = self._content(record.name)
        summary = next((s for s in record.summaries if content and content.fits(s)), None)
        if content is None or summary is None:
            rejected = self._rejections.of(record.summaries[0], entry)
            problem = "is missing" if content is None else "is damaged"
            sha256 = content.sha256 if content is not None else None
            return ShardVerdict(record, problem, record.summaries[0], rejected, sha256=sha256)
        rejected = self._rejections.of(summary, entry)
        right = None
        if rejected is not None:
            right = content.entry(summary, self._fingerprint, self._extensions, rejected)
            if right.to_bytes() == read(self._folder, entry_name(record.name)):
                right = None
        return ShardVerdict(record, None, summary, rejected, right, content.sha256)

    def _content(self, name: str) -> ShardContent | None:
        """Return the content of a shard; None when its file is missing or cannot be read."""
        try:
            with self._folder.open(name) as file:
                return read_back(file, self._extensions, [self._count])
        except OSError:
            return None

    def _count(self, block: memoryview) -> None:
        if self._is_stopped:
            raise InterruptedError("the run was stopped")
        self._on_bytes(len(block))
