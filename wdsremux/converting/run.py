"""The conversion: tasks go to the engine, batches come back in order, shards are published.

One process orders, assigns, hashes and writes; it never touches a pixel.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from wdsremux.converting.class_counts import ClassCounter
from wdsremux.converting.disk_space import SpaceWatch
from wdsremux.converting.error_limit import ErrorLimitGuard
from wdsremux.converting.finishing import finished
from wdsremux.converting.memory_space import MemoryWatch
from wdsremux.converting.remarks import RemarkLog
from wdsremux.core.errors import CorruptDataError, SourceError
from wdsremux.core.events import Advanced, Begun, Done, Note, Observer, ShardDone
from wdsremux.core.heartbeat import Phase, receiving
from wdsremux.core.manifest import Manifest, ShardSummary
from wdsremux.core.memory import usable_memory
from wdsremux.core.option_values import listed
from wdsremux.core.records import Batch, Task
from wdsremux.dataset.indexes.writing import StoredShards, note_kinds, write_indexes
from wdsremux.dataset.ledger import Ledger, SeriesProgress
from wdsremux.dataset.rejected import write_rejected
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.dataset.shards.packing import packed_from, packed_until
from wdsremux.dataset.shards.series import SeriesWriter
from wdsremux.processing.plan import Conversion
from wdsremux.processing.shard_rows import least_shards
from wdsremux.processing.source_size import source_bytes


def convert(conversion: Conversion, observer: Observer) -> Manifest:
    """Make the dataset, or what is missing from it, and publish its manifest last.

    Raises SourceError, TransformError, StoreError, CorruptDataError or RecipeMismatchError; what
    is published by then is kept, and the same conversion resumes from there.
    """
    ledger = Ledger(conversion.store)
    ledger.begin(conversion.head)
    note_kinds(conversion.store, conversion.indexes)
    manifest, missing = ledger.finished(conversion.fingerprint)
    if manifest is not None and not missing:
        write_indexes(conversion.store, StoredShards(conversion.store, manifest))
        observer(Done(manifest, 0))
        return manifest
    if missing:
        lost = f"the output is finished, but shards or entries are lost: {listed(missing, 3)}"
        if conversion.store.root is not None:
            raise CorruptDataError(
                f"{lost}; run `wdsremux repair {shlex.quote(str(conversion.store.root))}` to make "
                "only these again"
            )
        # `repair` works in folders only.
        observer(Note(f"{lost}; converting again from the first of them"))
    line = _ConversionRun(conversion, ledger, observer)
    line.run()
    if conversion.lane is not None:
        return Manifest(head=ledger.head() or conversion.head, shards=tuple(line.shards()))
    observer(Phase("finishing"))
    head = ledger.head() or conversion.head
    manifest = finished(conversion.store, head, line.shards(), conversion.published, observer)
    trained = {rows.name for rows in conversion.series if not rows.is_held_out}
    for remark in line.classes.remarks(trained):
        observer(Note(remark))
    observer(Done(manifest, line.rows, line.classes.by_split()))
    return manifest


@dataclass(slots=True)
class _OpenSeries:
    """The series that batches arrive for."""

    number: int
    writers: list[SeriesWriter]
    starts: tuple[int, ...]
    """Of each copy, the position from which on this run writes it."""
    stop: int


class _ConversionRun:
    """One conversion, from the tasks to the last shard."""

    def __init__(self, conversion: Conversion, ledger: Ledger, observer: Observer) -> None:
        self._c = conversion
        self._ledger = ledger
        self._observer = observer
        lane = None if conversion.lane is None else conversion.lane_shards
        self._finished = ledger.progress(
            lane and {rows.name: lane(number) for number, rows in enumerate(conversion.series)}
        )
        self._made: list[ShardSummary] = []
        self._bases: dict[int, int] = {}
        self._open: _OpenSeries | None = None
        self._limit = ErrorLimitGuard(conversion)
        self.rows = 0
        """Rows done by this run."""
        stored = source_bytes(conversion.head.source, conversion.series, conversion.limit)
        self._space = SpaceWatch(conversion.store, conversion.rows, conversion.job.copies, stored)
        self._memory = MemoryWatch(
            conversion.job,
            conversion.workers,
            has_processes=conversion.engine_name == "processes",
            usable_bytes=usable_memory(),
        )
        self._register = KeyRegister() if conversion.job.columns.key else None
        self._remarks = RemarkLog(ledger, observer)
        self.classes = ClassCounter(conversion.head.class_names)

    def run(self) -> None:
        """Do all that is not done."""
        self._begin()
        batches = self._c.batches(self._tasks())
        try:
            with receiving(self._observer):
                for batch in batches:
                    self._take(batch)
            self._close_series()
            self._limit.finish()
        except CorruptDataError:
            self._list_rejected()
            self._abandon()
            raise
        except BaseException:
            self._abandon()
            raise
        finally:
            batches.close()
            if self._register is not None:
                self._register.close()
        if not self._made and not self._finished and self._c.lane is None:
            raise SourceError("the source has no rows: nothing was written")

    def _begin(self) -> None:
        """Load finished shards, and report what is left to do."""
        c = self._c
        self._remember()
        if not self._finished:
            for remark in c.remarks:
                self._observer(Note(remark))
        begun = Begun(
            c.rows,
            self._limit.rows,
            c.workers,
            c.engine_name,
            done_shards=len(self.shards()),
            max_shard_bytes=c.bounds.max_bytes,
            least_shards=least_shards(c),
            copies=c.job.copies,
            function="" if c.job.function is None else c.job.function.label,
        )
        self._observer(begun)
        for shard in self.shards():
            self._space.add(shard)
        self._check_space()

    def shards(self) -> list[ShardSummary]:
        """Return all shards: series by series, copy by copy, in order."""
        found = [shard for part in self._finished.values() for shard in part.shards]
        order = {rows.name: i for i, rows in enumerate(self._c.series)}
        return sorted([*found, *self._made], key=lambda s: (order[s.split], s.copy, s.number))

    def _remember(self) -> None:
        """Load what finished shards record: rows done, errors, keys."""
        base, done_rows = self._c.base, 0
        for number in range(len(self._c.series)):
            parts, first = self._progress_of(number), self._first_row(number, base)
            start = min(part.next_row(first) for part in parts)
            done_rows += start - first
            if not self._is_done(number, parts) and self._c.lane is None:
                break
            base = start
        errors: set[int] = set()
        # Entries may be remote: they are read only for what summaries do not contain.
        needed = (s for s in self.shards() if s.left_out or self._register is not None)
        for entry in self._ledger.entries(needed):
            errors |= {r.position for r in entry.rejected if r.stage != "filter"}
            if self._register is not None:
                self._register.add(entry.keys)
        self._limit.remember(done_rows, errors)

    def _progress_of(self, number: int) -> list[SeriesProgress]:
        """Return the finished shards of each copy of a series."""
        name, nothing = (
            self._c.series[number].name,
            SeriesProgress((), self._c.lane_shards(number)[0]),
        )
        return [self._finished.get((name, copy), nothing) for copy in range(self._c.job.copies)]

    def _is_done(self, number: int, parts: Sequence[SeriesProgress]) -> bool:
        stop = self._c.lane_shards(number)[1]
        return all(part.is_done if stop is None else part.number == stop for part in parts)

    def _first_row(self, number: int, base: int) -> int:
        """Return the first row that this run makes of a series, which begins at `base`."""
        return base if self._c.lane is None else self._c.lane_rows(number)[0]

    def _tasks(self) -> Iterator[Task]:
        """Yield the tasks of every series that is not done."""
        c = self._c
        base = c.base
        for number in range(len(c.series)):
            if c.borders:
                base = c.borders[number][0]
            self._bases[number] = base
            parts = self._progress_of(number)
            end = start = min(part.next_row(self._first_row(number, base)) for part in parts)
            if not self._is_done(number, parts):
                for task in c.tasks(number, base, start, self._stop(number, base)):
                    end = task.stop
                    self._check_memory(task)
                    yield task
            base = end

    def _stop(self, number: int, base: int) -> int | None:
        """Return the position at which the tasks of a series end, where that is known before."""
        if self._c.lane is None:
            return self._c.stop
        # To the end of the batch: a batch function must see all of its rows.
        borders, stop = self._c.borders[number], self._c.lane_rows(number)[1]
        return min(self._c.batch_end(number, base, stop), borders[-1])

    def _check_memory(self, task: Task) -> None:
        warning = self._memory.warning(task)
        if warning is not None:
            self._observer(Note(warning))

    def _take(self, batch: Batch) -> None:
        """Write one batch."""
        series = self._series(batch.series)
        end = None if self._c.lane is None else self._c.lane_rows(batch.series)[1]
        stop = batch.first + batch.rows if end is None else min(end, batch.first + batch.rows)
        if stop <= batch.first:
            return
        starts, series.stop = series.starts, stop
        if batch.first in self._c.breaks:
            for writer in series.writers:
                writer.finish(batch.first, is_last=False)
        rows = max(0, stop - max(batch.first, min(starts)))
        # A resumed run reads some finished rows again: the first of a batch, and those that one
        # copy has and another has not.
        packs = tuple(map(packed_from, batch.packed, starts))
        if end is not None:
            packs = tuple(packed_until(packed, end) for packed in packs)
        rejected = tuple(r for r in batch.rejected if starts[r.copy] <= r.position < stop)
        if self._register is not None:
            packs, doubled = self._register.without_duplicates(packs)
            rejected = tuple(sorted((*rejected, *doubled), key=lambda r: (r.position, r.copy)))
        self._remarks.take(batch.remarks, lambda position: position >= min(starts))
        for copy, writer in enumerate(series.writers):
            writer.reject(item for item in rejected if item.copy == copy)
            writer.expand(
                (row, more) for of, row, more in batch.expanded if of == copy and row < stop
            )
        self.rows += rows
        self._limit.take(rows, rejected)
        for writer, packed in zip(series.writers, packs, strict=True):
            writer.add(packed)
        self.classes.add(self._c.series[batch.series].name, packs[0].labels)
        samples = sum(len(packed.keys) for packed in packs)
        self._observer(
            Advanced(rows, samples, rejected, batch.input_bytes, batch.size_bytes, batch.remarks)
        )

    def _series(self, number: int) -> _OpenSeries:
        if self._open is not None and self._open.number == number:
            return self._open
        self._close_series()
        c, finished = self._c, self._progress_of(number)
        first = self._first_row(number, self._bases[number])
        starts = tuple(part.next_row(first) for part in finished)
        writers = [
            SeriesWriter(
                c.store,
                c.plan(number, copy),
                start=start,
                number=part.number,
                on_shard=self._note_shard,
            )
            for copy, (part, start) in enumerate(zip(finished, starts, strict=True))
        ]
        self._open = _OpenSeries(number, writers, starts, first)
        return self._open

    def _note_shard(self, shard: ShardSummary) -> None:
        self._made.append(shard)
        self._observer(ShardDone(shard))
        self._space.add(shard)
        self._check_space()

    def _check_space(self) -> None:
        warning = self._space.warning()
        if warning is not None:
            self._observer(Note(warning))

    def _close_series(self) -> None:
        if self._open is None:
            return
        series, name = self._open, self._c.series[self._open.number].name
        stop = self._c.lane_shards(series.number)[1]
        is_last = stop is None or stop == len(self._c.borders[series.number]) - 1
        for copy, writer in enumerate(series.writers):
            writer.finish(series.stop, is_last=is_last)
            if not any(s.split == name and s.copy == copy for s in self.shards()):
                last = self._limit.last_rejected
                why = f"; the last was row {last.position}: {last.reason}" if last else ""
                how = "filtered" if last and last.stage == "filter" else "rejected"
                raise CorruptDataError(f"split {name!r} has no sample: every row was {how}{why}")
        self._open = None

    def _list_rejected(self) -> None:
        """Write what was rejected so far, for the search for the reason."""
        writers = self._open.writers if self._open is not None else []
        pending = (item for writer in writers for item in writer.pending)
        rejected = chain(self._ledger.rejected(self.shards()), pending)
        write_rejected(self._c.store, rejected)

    def _abandon(self) -> None:
        if self._open is not None:
            for writer in self._open.writers:
                writer.abort()
