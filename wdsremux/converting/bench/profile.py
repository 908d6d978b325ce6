"""A worker that measures where its time goes.

Only `bench` uses it; the conversion itself reads no clock. Stages are measured by proxies, not by a
hook of the worker: images are decoded when a step first needs their pixels, so a hook would have to
be passed through codec, picture and kernel to every image of every conversion.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import Self

from wdsremux.core.records import Piece, Record, Rejected, Task, Unit
from wdsremux.processing.batch import BatchBuilder
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.worker import Worker
from wdsremux.transforms.base import Pixels
from wdsremux.transforms.codecs.codec import Check, Codec
from wdsremux.transforms.codecs.stored import Stored
from wdsremux.transforms.function.call import Row
from wdsremux.transforms.kernel.native import Filter, PlaneKernel, Scale
from wdsremux.transforms.pending_geometry import PendingGeometry, Size

STAGES = ("read", "decode", "transform", "kernel", "encode", "pack")
"""Where the time of a row goes, in the order of its way; waiting for a network is reading.

The native kernel decodes, transforms and encodes in one call.
"""

SLICE_ROWS = 32
"""Rows between two looks at the clock, and the most that a batch function sees together."""
WARM_UP_ROWS = 4


class Stopwatch:
    """Shares time out: each instant belongs to the stage that was entered last."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        # Loops that belong to no stage are packing: that is where they end up.
        self._stage = "pack"
        self._since = clock()
        self.seconds = dict.fromkeys(STAGES, 0.0)
        """Time so far, by stage."""
        self.rows_read = 0

    def switch(self, stage: str) -> str:
        """Enter a stage and return the one that was left."""
        now = self._clock()
        self.seconds[self._stage] += now - self._since
        self._since, left = now, self._stage
        self._stage = stage
        return left

    def during(self, stage: str) -> "_During":
        """Return a context that belongs to a stage."""
        return _During(self, stage)


class _During:
    """One visit to a stage; a generator would cost more, and every image makes several visits."""

    __slots__ = ("_left", "_stage", "_watch")

    def __init__(self, watch: Stopwatch, stage: str) -> None:
        self._watch = watch
        self._stage = stage

    def __enter__(self) -> None:
        self._left = self._watch.switch(self._stage)

    def __exit__(self, *_exc: object) -> None:
        self._watch.switch(self._left)


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of one worker goes."""

    rows: int
    samples: int
    output_bytes: int
    rejected: tuple[Rejected, ...]
    stages_ms: dict[str, float]
    """Milliseconds for a row, by stage."""
    start_s: float = 0.0
    """Time before that: to build the worker and to warm it up."""

    @property
    def row_ms(self) -> float:
        """Milliseconds for a row."""
        return sum(self.stages_ms.values())

    @property
    def rows_per_s(self) -> float:
        """Rows that one worker does in a second when it has a core for itself."""
        return 1000 / self.row_ms if self.row_ms else 0.0


def profile(job: WorkerJob, tasks: Iterator[Task], seconds: float) -> Profile:
    """Process tasks in this thread for about `seconds`, and return where the time went.

    A few rows are done before that do not count, for whatever is loaded on its first use.
    """
    first = next(tasks, None)
    if first is None:
        return Profile(0, 0, 0, (), dict.fromkeys(STAGES, 0.0))
    began = time.perf_counter()
    for _ in Worker(job)(_head(first, WARM_UP_ROWS)):
        pass
    watch = Stopwatch()
    worker = _TimedWorker(job, watch)
    start_s = time.perf_counter() - began
    rows = samples = size = 0
    rejected: list[Rejected] = []
    ends = time.perf_counter() + seconds
    batches = chain.from_iterable(worker(_timed(task, watch)) for task in chain([first], tasks))
    for batch in batches:
        rows += batch.rows
        samples += sum(len(packed.keys) for packed in batch.packed)
        size += batch.size_bytes
        rejected.extend(batch.rejected)
        if time.perf_counter() >= ends:
            break
    watch.switch("pack")
    # Rows are read some way ahead of the others' work on them.
    stages_ms = {
        stage: 1000 * spent / max(1, watch.rows_read if stage == "read" else rows)
        for stage, spent in watch.seconds.items()
    }
    return Profile(rows, samples, size, tuple(rejected), stages_ms, start_s)


def _head(task: Task, rows: int) -> Task:
    """Return a task of the first rows of a task's first piece."""
    piece = task.pieces[0]
    short = Piece(piece.unit, piece.start, min(piece.stop, piece.start + rows))
    return replace(task, pieces=(short,))


def _timed(task: Task, watch: Stopwatch) -> Task:
    """Return the task with units that measure their reading."""
    pieces = (Piece(_TimedUnit(p.unit, watch), p.start, p.stop) for p in task.pieces)
    return replace(task, pieces=tuple(pieces))


@dataclass(frozen=True, slots=True)
class _TimedUnit:
    """A unit whose reading counts as such."""

    unit: Unit
    watch: Stopwatch

    @property
    def first(self) -> int:
        return self.unit.first

    @property
    def rows(self) -> int:
        return self.unit.rows

    @property
    def size_bytes(self) -> int:
        return self.unit.size_bytes

    @property
    def name(self) -> str:
        return self.unit.name

    def read(self, start: int, stop: int) -> Iterator[Record]:
        records = self.unit.read(start, stop)
        while True:
            with self.watch.during("read"):
                record = next(records, None)
            if record is None:
                return
            self.watch.rows_read += 1
            yield record


@dataclass(frozen=True, slots=True)
class _TimedKernel:
    """The native kernel, whose calls do everything from decoding to encoding."""

    kernel: PlaneKernel
    watch: Stopwatch

    def jpeg(
        self,
        plan: PendingGeometry,
        filters: tuple[Filter, ...],
        scale: Scale,
        subsampling: str,
        quality: int,
    ) -> bytes:
        with self.watch.during("kernel"):
            return self.kernel.jpeg(plan, filters, scale, subsampling, quality)

    def rgb(self, plan: PendingGeometry, filters: tuple[Filter, ...], scale: Scale) -> Pixels:
        with self.watch.during("kernel"):
            return self.kernel.rgb(plan, filters, scale)

    def close(self) -> None:
        self.kernel.close()


@dataclass(frozen=True, slots=True)
class _TimedStored:
    """A stored image whose decoding counts as such."""

    stored: Stored
    watch: Stopwatch

    @property
    def size(self) -> Size:
        return self.stored.size

    @property
    def orientation(self) -> int:
        return self.stored.orientation

    @property
    def max_divisor(self) -> int:
        return self.stored.max_divisor

    @property
    def is_srgb(self) -> bool:
        return self.stored.is_srgb

    @property
    def remarks(self) -> Collection[str]:
        return self.stored.remarks

    def native(self) -> PlaneKernel | None:
        native = self.stored.native()
        return None if native is None else _TimedKernel(native, self.watch)

    def decode(self, divisor: int) -> Pixels:
        with self.watch.during("decode"):
            return self.stored.decode(divisor)

    def finish(self, pixels: Pixels) -> Pixels:
        with self.watch.during("decode"):
            return self.stored.finish(pixels)


@dataclass(frozen=True, slots=True)
class _TimedCodec(Codec):
    """A codec that measures its time."""

    watch: Stopwatch = field(default_factory=Stopwatch, compare=False)

    @classmethod
    def of(cls, codec: Codec, watch: Stopwatch) -> Self:
        options = {each.name: getattr(codec, each.name) for each in fields(codec) if each.init}
        return cls(**options, watch=watch)

    def open(self, data: bytes) -> Stored:
        with self.watch.during("decode"):
            return _TimedStored(Codec.open(self, data), self.watch)

    def check_stored(self, data: bytes, check: Check) -> None:
        with self.watch.during("decode"):
            Codec.check_stored(self, data, check)

    def encode(self, pixels: Pixels) -> bytes:
        with self.watch.during("encode"):
            return Codec.encode(self, pixels)


class _TimedWorker(Worker):
    """A worker that takes few rows at a time and measures each stage."""

    def __init__(self, job: WorkerJob, watch: Stopwatch) -> None:
        super().__init__(replace(job, codec=_TimedCodec.of(job.codec, watch)))
        self._watch = watch

    def _is_full(self, builder: BatchBuilder, task: Task) -> bool:
        return super()._is_full(builder, task) or len(builder.locations) >= SLICE_ROWS

    def _images(self, record: Record, builder: BatchBuilder) -> Sequence[Pixels | bytes]:
        with self._watch.during("transform"):
            return super()._images(record, builder)

    def _transformed(self, rows: list[Row], copy: int) -> Sequence[Row | Rejected]:
        with self._watch.during("transform"):
            return super()._transformed(rows, copy)
