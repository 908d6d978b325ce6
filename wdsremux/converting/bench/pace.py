"""Workers that mark when each batch was made, and the pace that follows from their marks.

Only `bench` and `--dry-run` use them; the conversion itself reads no clock.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from wdsremux.core.errors import SourceError
from wdsremux.core.records import Batch, Rejected, Task
from wdsremux.processing.batch import BatchBuilder
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.worker import Worker
from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.function.call import Row

FIRST_ROWS = 4
"""Rows of a worker's first batch, which counts as warming up; none has fewer, if there are more."""
BATCH_SECONDS = 0.2
"""How long a batch takes, about: a measure cannot end within one."""

WorkerId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """When a batch was made, and by whom."""

    worker: WorkerId
    """Process and thread."""
    began_s: float
    """By `perf_counter`, which all processes of a machine share."""
    ended_s: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedBatch(Batch):
    """A batch that knows when it was made."""

    mark: Mark


class MarkingWorker(Worker):
    """A worker that takes few rows at a time and marks its batches."""

    def __init__(
        self,
        job: WorkerJob,
        seconds: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Work for `seconds` after the first batch, then skip rows; without it, skip none."""
        super().__init__(job)
        self._seconds = seconds
        self._clock = clock
        self._ends_s: float | None = None
        self._batch_rows = FIRST_ROWS

    def __call__(self, task: Task) -> Iterator[Batch]:
        """Yield marked batches, the first rows of the task's if time is up before its end."""
        if self._is_over():
            return
        began_s = self._clock()
        for batch in super().__call__(task):
            mark = Mark(_worker_id(), began_s, self._clock(), batch.rows)
            self._note(mark)
            yield MarkedBatch(**{f.name: getattr(batch, f.name) for f in fields(batch)}, mark=mark)
            if self._is_over():
                return
            began_s = self._clock()

    def _note(self, mark: Mark) -> None:
        if self._seconds is not None and self._ends_s is None:
            self._ends_s = mark.ended_s + self._seconds
        rate = mark.rows / max(mark.ended_s - mark.began_s, 1e-9)
        self._batch_rows = max(FIRST_ROWS, int(rate * BATCH_SECONDS))

    def _is_over(self) -> bool:
        return self._ends_s is not None and self._clock() >= self._ends_s

    def _is_full(self, builder: BatchBuilder, task: Task) -> bool:
        if super()._is_full(builder, task):
            return True
        # A function may fail on a single row: none is left over.
        size = self._job.batch_size
        end = builder.stop + -(builder.stop - task.counted_from) % size
        left = min(end, task.stop) - builder.stop
        return len(builder.locations) >= self._batch_rows and left >= FIRST_ROWS


class LoadingWorker(MarkingWorker):
    """A worker that loads images as training does: to pixels, which are then forgotten."""

    def _pack(self, row: Row, _read: Mapping[str, Any], _copy: int, _builder: BatchBuilder) -> None:
        if isinstance(row.image, bytes):
            with suppress(DecodeError):  # the line would pack it as it is
                self._job.codec.decode(row.image)


def _worker_id() -> WorkerId:
    return os.getpid(), threading.get_ident()


@dataclass(frozen=True, slots=True)
class Pace:
    """What all workers together did in a while."""

    rows: int
    """All of them, also those that are in no rate."""
    samples: int
    rejected: int
    input_bytes: int
    """Stored image bytes read."""
    output_bytes: int
    """Bytes of tar."""
    seconds: float
    """Time in which all workers worked."""
    first_rejected: Rejected | None = None
    errors: int = 0
    """Rows rejected for errors, each once however many copies it has."""
    steady_rows: float | None = None
    """Rows done in that time; None for all of them."""
    filtered: int = 0
    start_s: float = 0.0
    """Time before it until the last worker could begin."""

    @property
    def rows_per_s(self) -> float:
        """Rows in a second, once all workers are at work."""
        return (self.rows if self.steady_rows is None else self.steady_rows) / self.seconds

    def to_json(self) -> dict[str, Any]:
        """Return what was counted, and the rates."""
        mb_rows_per_s = self.rows_per_s / self.rows / 1e6
        return {
            "rows": self.rows,
            "samples": self.samples,
            "rejected": self.rejected,
            "filtered": self.filtered,
            "seconds": round(self.seconds, 3),
            "start_seconds": round(self.start_s, 3),
            "images_per_s": round(self.rows_per_s, 1),
            "read_mb_per_s": round(self.input_bytes * mb_rows_per_s, 2),
            "written_mb_per_s": round(self.output_bytes * mb_rows_per_s, 2),
        }


class Tally:
    """Sums up the batches of a map that begins now."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began_s = clock()
        self._first_s: float | None = None
        self._marks: list[Mark] = []
        counts = ("samples", "rejected", "filtered", "input_bytes", "output_bytes")
        self._sums = dict.fromkeys(counts, 0)
        self._first_rejected: Rejected | None = None
        self._errors = 0

    def add(self, batch: Batch) -> None:
        """Take a batch into the sums."""
        assert isinstance(batch, MarkedBatch)  # noqa: S101 (every worker here makes these)
        self._first_s = self._clock() if self._first_s is None else self._first_s
        self._marks.append(batch.mark)
        self._sums["samples"] += sum(len(packed.keys) for packed in batch.packed)
        errors = [item for item in batch.rejected if item.stage != "filter"]
        self._sums["rejected"] += len(errors)
        self._sums["filtered"] += len(batch.rejected) - len(errors)
        self._sums["input_bytes"] += batch.input_bytes
        self._sums["output_bytes"] += batch.size_bytes
        self._first_rejected = self._first_rejected or next(iter(errors), None)
        self._errors += len({item.position for item in errors})

    def has_lasted(self, seconds: float) -> bool:
        """Return whether the first batch came at least `seconds` ago."""
        return self._first_s is not None and self._clock() - self._first_s >= seconds

    def pace(self) -> Pace:
        """Return the sums. Raises SourceError when there was nothing to do."""
        if not self._marks:
            raise SourceError("the source has no rows: there is nothing to measure")
        rows, seconds = steady(self._marks)
        firsts = [marks[0] for marks in _by_worker(self._marks)]
        return Pace(
            rows=sum(mark.rows for mark in self._marks),
            **self._sums,
            seconds=max(seconds, 1e-9),
            first_rejected=self._first_rejected,
            errors=self._errors,
            steady_rows=rows,
            start_s=max(mark.began_s for mark in firsts) - self._began_s,
        )


def steady(marks: Sequence[Mark]) -> tuple[float, float]:
    """Return rows and seconds of the time in which all workers were warm and none had ended.

    Of a batch that reaches over an end of that time, its share counts. Without such a time,
    as with few rows, it is all the time in which some worker was at work.
    """
    of_each = _by_worker(marks)
    begins = max(own[0].ended_s for own in of_each)
    ends = min(own[-1].ended_s for own in of_each)
    if ends <= begins:
        begins, ends = min(m.began_s for m in marks), max(m.ended_s for m in marks)
    return sum(_rows_within(mark, begins, ends) for mark in marks), ends - begins


def _rows_within(mark: Mark, begins: float, ends: float) -> float:
    took_s = mark.ended_s - mark.began_s
    within_s = min(mark.ended_s, ends) - max(mark.began_s, begins)
    return mark.rows * max(0.0, within_s) / took_s if took_s else 0.0


def _by_worker(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Return the marks of each worker, in order of time."""
    found: dict[WorkerId, list[Mark]] = {}
    for mark in sorted(marks, key=lambda each: each.ended_s):
        found.setdefault(mark.worker, []).append(mark)
    return [*found.values()]
