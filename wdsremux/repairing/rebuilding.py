"""Makes shards again: the processing of `convert`, for the rows of single shards only."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wdsremux.core.errors import UsageError
from wdsremux.core.events import Advanced, Begun, Event, ShardDone
from wdsremux.core.manifest import ShardSummary
from wdsremux.core.records import Batch, PackedSamples, Rejected, Task
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.dataset.shards.packing import packed_without
from wdsremux.dataset.shards.series import SeriesWriter, shard_name
from wdsremux.processing.plan import Conversion
from wdsremux.repairing.shard_records import Series, ShardRecords


class _OtherBytesError(Exception):
    """A shard that was made again has other bytes than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildRequest:
    """Shards of a series to make again: one, or a run of shards without any record."""

    series: Series
    number: int
    """Of the first of them."""
    shards: int = 1
    start: int | None
    """Position of their first row; None for the first row of the series."""
    stop: int
    """Position after their last row."""
    is_last: bool = False
    """Whether the series ends with them."""
    rejected: tuple[Rejected, ...] | None = None
    """The rejected records they cover; None when only the rows can show them."""
    sums: Container[str] | None = None
    """Correct SHA-256 sums; None when they are unknown."""

    @property
    def names(self) -> list[str]:
        """Names of the shards."""
        return [shard_name(self.series.prefix, self.number + i) for i in range(self.shards)]

    def approve(self, summary: ShardSummary) -> None:
        """Raise for a shard with other bytes than recorded."""
        is_right = self.sums is None or summary.sha256 in self.sums
        if not is_right or summary.number >= self.number + self.shards:
            raise _OtherBytesError(summary.name)


@dataclass(slots=True)
class _OpenRequest:
    """The request whose batches are arriving."""

    index: int
    """Among the requests."""
    request: RebuildRequest
    start: int
    writer: SeriesWriter
    out: Container[int]
    """Positions of rows that are known to have been rejected."""
    out_keys: Container[tuple[int, str | None]]
    """The same with the keys of samples that were rejected for their key."""
    register: KeyRegister | None
    is_lost: bool = False
    """Whether its bytes turned out to differ."""


class ShardRebuilder:
    """One run over the shards that have to be made again."""

    def __init__(
        self,
        conversion: Conversion,
        fingerprint: str,
        records: ShardRecords,
        poison: Mapping[int, str],
        observer: Callable[[Event], None],
    ) -> None:
        """Take the recorded fingerprint, and the rows to reject because they kill workers."""
        self._c = conversion
        self._fingerprint = fingerprint
        self._records = records
        self._poison = poison
        self._observer = observer
        self._splits = {rows.name: number for number, rows in enumerate(conversion.series)}
        self._first_rows: dict[int, int] = {}
        self._requests: Sequence[RebuildRequest] = ()
        self._open: _OpenRequest | None = None
        self.made: dict[str, ShardSummary] = {}
        """What was published, by name."""

    def run(self, requests: Sequence[RebuildRequest], *, gives_up: bool) -> None:
        """Make shards again and publish those with the recorded bytes.

        With `gives_up`, the first shard with other bytes ends the run. Raises SourceError or
        TransformError.
        """
        self._requests = requests
        rows = sum(request.stop - self._start_of(request) for request in requests)
        self._observer(Begun(rows, 0, self._c.workers, self._c.engine_name))
        batches = self._c.batches(self._tasks())
        try:
            for batch in batches:
                self._take(batch)
                if gives_up and self._open is not None and self._open.is_lost:
                    break
            self._close()
        finally:
            self._drop()
            batches.close()

    def _tasks(self) -> Iterator[Task]:
        """Yield the tasks of all requests, each with the index of its request as its series."""
        c = self._c
        for index, request in enumerate(self._requests):
            number = self._splits.get(request.series.split)
            if number is None:
                continue
            base = self._first_row(request.series)
            # To the end of the batch: a batch function must see all of its rows.
            stop = c.batch_end(number, base, request.stop)
            stop = stop if c.stop is None else min(stop, c.stop)
            for task in c.tasks(number, base, self._start_of(request), stop):
                poison = tuple(
                    (row, reason)
                    for row, reason in self._poison.items()
                    if task.first <= row < task.stop
                )
                yield replace(task, series=index, copy=request.series.copy, poison=poison)

    def _start_of(self, request: RebuildRequest) -> int:
        return self._first_row(request.series) if request.start is None else request.start

    def _first_row(self, series: Series) -> int:
        """Return the position of a split's first row."""
        if series.number not in self._first_rows:
            row = self._records.first_row(series.number)
            self._first_rows[series.number] = self._c.base if row is None else row
        return self._first_rows[series.number]

    def _take(self, batch: Batch) -> None:
        """Write the samples of a batch to its shards."""
        opened = self._opened(batch.series)
        if opened.is_lost:
            return
        request = opened.request
        copy = request.series.copy
        expanded = [(row, more) for of, row, more in batch.expanded if of == copy]
        packed = _within(batch.packed[copy], opened, {row for row, _ in expanded})
        opened.writer.expand(expanded)
        try:
            if request.rejected is None:
                packed, rejected = _without_duplicates(opened, packed, batch.rejected)
                opened.writer.reject(item for item in rejected if item.position < request.stop)
            opened.writer.add(packed)
        except (_OtherBytesError, UsageError):
            # A sample that now exceeds the bound has changed, too.
            opened.is_lost = True
        self._observer(
            Advanced(batch.rows, len(packed.keys), (), batch.input_bytes, len(packed.payload))
        )

    def _opened(self, index: int) -> _OpenRequest:
        if self._open is not None and self._open.index == index:
            return self._open
        self._close()
        request = self._requests[index]
        start = self._start_of(request)
        plan = self._c.plan(self._splits[request.series.split], request.series.copy)
        writer = SeriesWriter(
            self._c.store,
            replace(plan, fingerprint=self._fingerprint),
            start=start,
            number=request.number,
            on_shard=self._note_shard,
            approve=request.approve,
        )
        known = request.rejected or ()
        writer.reject(known)
        out = frozenset(item.position for item in known)
        keys = frozenset((item.position, item.key) for item in known)
        register = self._register(request)
        self._open = _OpenRequest(index, request, start, writer, out, keys, register)
        return self._open

    def _register(self, request: RebuildRequest) -> KeyRegister | None:
        """Return the owners of keys, where keys decide which rows are rejected."""
        if request.rejected is not None or self._c.job.columns.key is None:
            return None
        register = KeyRegister()
        recorded = {record.name: record.summaries[0] for record in self._records}
        for name, summary in (recorded | self.made).items():
            if self._is_before(summary, request):
                entry = self._records.read(entry_name(name))
                register.add(entry.keys if entry is not None else ())
        return register

    def _is_before(self, shard: ShardSummary, request: RebuildRequest) -> bool:
        """Return whether a shard's rows precede those of a request, in the same copy."""
        place = self._splits.get(shard.split, -1), shard.number
        return shard.copy == request.series.copy and place < (request.series.number, request.number)

    def _note_shard(self, summary: ShardSummary) -> None:
        self.made[summary.name] = summary
        self._observer(ShardDone(summary))

    def _close(self) -> None:
        """Finish the open request, whose rows have all arrived."""
        if self._open is not None and not self._open.is_lost:
            request = self._open.request
            try:
                self._open.writer.finish(request.stop, is_last=request.is_last)
            except _OtherBytesError:
                self._open.is_lost = True
        self._drop()

    def _drop(self) -> None:
        """Remove what is unfinished."""
        if self._open is not None:
            self._open.writer.abort()
            if self._open.register is not None:
                self._open.register.close()
        self._open = None


def _within(packed: PackedSamples, opened: _OpenRequest, expanded: Container[int]) -> PackedSamples:
    """Return the samples of a request's rows, without those of other shards and rejected ones.

    Of a row with several samples, one may be rejected and the others packed.
    """
    numbers = {
        number
        for number, (position, key) in enumerate(zip(packed.positions, packed.keys, strict=True))
        if not opened.start <= position < opened.request.stop
        or (position, key) in opened.out_keys
        or (position in opened.out and position not in expanded)
    }
    return packed_without(packed, numbers) if numbers else packed


def _without_duplicates(
    opened: _OpenRequest, packed: PackedSamples, rejected: Sequence[Rejected]
) -> tuple[PackedSamples, Sequence[Rejected]]:
    """Return the samples with new keys, and all rejected records."""
    if opened.register is None:
        return packed, rejected
    (packed,), doubles = opened.register.without_duplicates([packed])
    copy = opened.request.series.copy
    every = (*rejected, *(replace(item, copy=copy) for item in doubles))
    return packed, sorted(every, key=lambda item: item.position)
