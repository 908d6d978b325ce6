"""What a conversion would take on this machine, measured on the first rows of the user's data."""

import math
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, Self

from wdsremux.converting.bench.pace import FIRST_ROWS, LoadingWorker, MarkingWorker, Pace, Tally
from wdsremux.converting.bench.profile import Profile, profile
from wdsremux.converting.run import convert
from wdsremux.core.events import ignore_event
from wdsremux.core.option_values import ErrorLimit
from wdsremux.core.recipe import Recipe, Run
from wdsremux.core.records import Batch, Task
from wdsremux.dataset.shards.bounds import MIN_BYTES, Bounds
from wdsremux.processing.opening import open_conversion
from wdsremux.processing.plan import Conversion
from wdsremux.processing.recovery import Recovery, rows_of
from wdsremux.processing.shard_rows import least_shards
from wdsremux.sources.registry import SourceLike

SECONDS = 20.0
"""About how long `bench` takes."""
PROFILE_SHARE, CONVERT_SHARE, LOAD_SHARE = 0.25, 0.45, 0.15
"""Parts of that time: one worker watched, the real line, and loading twice."""
LEAST_OF_A_SHARE = 1 / 3
"""The least fraction of its part that each keeps when workers start slowly."""
TASKS_PER_WORKER = 8
"""Least number of tasks for each worker, so that all are busy to the end."""
ESTIMATE_SECONDS = 5.0
MAX_SCRATCH_BYTES = 500 * 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched(Conversion):
    """A conversion whose pace is taken while it is done."""

    tally: Tally
    seconds: float

    @classmethod
    def of(cls, conversion: Conversion, seconds: float) -> Self:
        """Return a conversion that takes tasks for `seconds`, and finishes those begun."""
        same = {each.name: getattr(conversion, each.name) for each in fields(conversion)}
        return cls(**same, tally=Tally(), seconds=seconds)

    def batches(self, found: Iterator[Task]) -> Generator[Batch, None, None]:
        """Yield the batches, as they are taken by the line."""
        rows = self.rows or self.limit or 1
        share = max(FIRST_ROWS, rows // (TASKS_PER_WORKER * max(1, self.workers)))
        in_time = takewhile(lambda _task: not self.tally.has_lasted(self.seconds), found)
        cut = (part for task in in_time for part in _parts(task, share))
        with closing(_map(self, MarkingWorker, cut)) as batches:
            for batch in batches:
                self.tally.add(batch)
                yield batch


@dataclass(frozen=True, slots=True)
class Estimate:
    """What was measured on some rows, and what follows for all of them."""

    pace: Pace
    rows_in_all: int | None
    """None where the source does not know."""
    copies: int
    series: int
    bounds: Bounds
    workers: int
    engine: str
    max_errors: ErrorLimit = ErrorLimit(percent=100.0)
    least_shards: int = 0
    """Number of shards that the number of rows makes, if they are not too small."""
    is_fixed: bool = False
    """Whether that is the number of shards, by --shards or --shards-multiple-of."""

    @property
    def is_over_max_errors(self) -> bool:
        """Whether the conversion would stop if all rows were as those measured."""
        return not self.max_errors.allows(self.pace.errors, self.pace.rows)

    @property
    def size_bytes(self) -> int | None:
        """Size of all shards together."""
        if self.rows_in_all is None:
            return None
        return round(self.pace.output_bytes / self.pace.rows * self.rows_in_all)

    @property
    def seconds(self) -> float | None:
        """Time for all rows, and for the start of the workers."""
        if self.rows_in_all is None:
            return None
        return self.pace.start_s + self.rows_in_all / self.pace.rows_per_s

    @property
    def shards(self) -> int | None:
        """Number of shards, if all series have the same share."""
        if self.rows_in_all is None or self.size_bytes is None:
            return None
        if self.is_fixed:
            return self.least_shards
        parts = self.series * self.copies
        by_size = self.size_bytes / parts / self.bounds.max_bytes
        samples = self.pace.samples / self.pace.rows * self.rows_in_all / parts
        by_count = samples / self.bounds.max_samples if self.bounds.max_samples else 0
        by_rows = min(self.least_shards, self.size_bytes // MIN_BYTES)
        return max(by_rows, parts * max(1, math.ceil(by_size), math.ceil(by_count)))

    @property
    def are_shards_too_few(self) -> bool:
        """Whether a fixed number of shards would exceed the bound of their size."""
        if not self.is_fixed or self.size_bytes is None:
            return False
        return self.size_bytes > self.least_shards * self.bounds.max_bytes

    def to_json(self) -> dict[str, Any]:
        """Return the measure, and the projection with null for what is not known."""
        return {
            "measured": self.pace.to_json(),
            "workers": self.workers,
            "engine": self.engine,
            "rows": self.rows_in_all,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "bytes": self.size_bytes,
            "shards": self.shards,
        }


@dataclass(frozen=True, slots=True)
class Bench:
    """All that `wdsremux bench` measures."""

    profile: Profile
    estimate: Estimate
    from_source: Pace
    """Images read from the source, decoded, and put through steps and function."""
    from_shards: Pace
    """Finished images read from the shards and decoded."""

    @property
    def gain(self) -> float:
        """How many times as fast images load from the shards."""
        return self.from_shards.rows_per_s / self.from_source.rows_per_s

    @property
    def epochs_to_pay(self) -> float | None:
        """After how many epochs the conversion has saved its own time; None for never."""
        saved_s = 1 / self.from_source.rows_per_s - 1 / self.from_shards.rows_per_s
        return None if saved_s <= 0 else 1 / self.estimate.pace.rows_per_s / saved_s

    def to_json(self) -> dict[str, Any]:
        """Return everything, in plain numbers."""
        pays = self.epochs_to_pay
        return {
            "one_worker": {
                "rows": self.profile.rows,
                "images_per_s": round(self.profile.rows_per_s, 1),
                "ms_per_image": {n: round(ms, 4) for n, ms in self.profile.stages_ms.items()},
            },
            "conversion": self.estimate.to_json(),
            "loading": {
                "source_images_per_s": round(self.from_source.rows_per_s, 1),
                "shards_images_per_s": round(self.from_shards.rows_per_s, 1),
                "gain": round(self.gain, 2),
                "epochs_to_pay": None if pays is None else round(pays, 2),
            },
        }


def estimate(conversion: Conversion, seconds: float = ESTIMATE_SECONDS) -> Estimate:
    """Process the first rows for about `seconds` with all workers; write nothing."""
    return _estimate(conversion, _pace(conversion, MarkingWorker, _tasks(conversion), seconds))


def bench(source: SourceLike, recipe: Recipe, run: Run, *, seconds: float = SECONDS) -> Bench:
    """Measure for about `seconds`; the shards are written to a temporary folder.

    Raises what `convert` raises.
    """
    budget = _TimeBudget(seconds)
    recipe = replace(recipe, shuffle=None)  # which would read all rows first
    with tempfile.TemporaryDirectory(prefix="wdsremux-bench-") as folder:
        out = Path(folder, "out")
        conversion = open_conversion(source, out, recipe, run, recipe.transform)
        profiled = profile(conversion.job, _tasks(conversion), PROFILE_SHARE * seconds)
        # Threads find loaded what the profile has loaded.
        start_s = profiled.start_s if conversion.engine_name == "processes" else 0.0
        for_line = budget.part(CONVERT_SHARE, rest=2 * LOAD_SHARE, starts_s=2 * start_s)
        converted = _convert(conversion, _rows_for(conversion, profiled, for_line), for_line)
        for_loading = budget.part(LOAD_SHARE, rest=LOAD_SHARE, starts_s=start_s)
        from_source = _loading(conversion, for_loading)
        kind: Any = "auto" if conversion.engine_name == "serial" else conversion.engine_name
        same = replace(run, workers=conversion.workers, engine=kind)
        as_they_are = Recipe(split="all", max_pixels=recipe.max_pixels, format=recipe.format)
        nowhere = Path(folder, "nothing is written here")
        shards = open_conversion(str(out), nowhere, as_they_are, same, None)
        from_shards = _loading(shards, for_loading)
        return Bench(profiled, _estimate(conversion, converted), from_source, from_shards)


class _TimeBudget:
    """The time asked for, of which the start of workers takes its part."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.perf_counter()

    def part(self, share: float, *, rest: float, starts_s: float) -> float:
        """Return the time for a share when shares of `rest` and starts of `starts_s` follow."""
        left_s = self._seconds - (time.perf_counter() - self._began) - starts_s
        asked_s = share * self._seconds
        return min(asked_s, max(asked_s * LEAST_OF_A_SHARE, left_s * share / (share + rest)))


def _rows_for(conversion: Conversion, profiled: Profile, seconds: float) -> int:
    """Return how many rows the real line gets: by its time, and by the room for its shards."""
    rate = profiled.rows_per_s * max(1, conversion.workers)
    by_room = MAX_SCRATCH_BYTES * profiled.rows // max(1, profiled.output_bytes)
    rows = max(1, min(round(rate * seconds), by_room))
    return rows if conversion.limit is None else min(rows, conversion.limit)


def _convert(conversion: Conversion, rows: int, seconds: float) -> Pace:
    """Run the line as `convert` does, and return its pace."""
    # Errors in the few rows that are measured are counted: the limit is of all rows.
    part = replace(conversion, limit=rows, max_errors=ErrorLimit(percent=100.0))
    watched = _Watched.of(part, seconds)
    convert(watched, ignore_event)
    return watched.tally.pace()


def _loading(conversion: Conversion, seconds: float) -> Pace:
    """Load images to pixels for `seconds`, from the first row again if they are few."""
    once = replace(conversion, job=replace(conversion.job, copies=1))

    def again_and_again() -> Iterator[Task]:
        while True:
            yield from _tasks(conversion)

    return _pace(once, LoadingWorker, again_and_again(), seconds)


def _tasks(conversion: Conversion) -> Iterator[Task]:
    """Yield all tasks of a conversion that begins."""
    base = conversion.base
    for number in range(len(conversion.series)):
        end = base
        for task in conversion.tasks(number, base, base, conversion.stop):
            end = task.stop
            yield task
        base = end


def _parts(task: Task, rows: int) -> Iterator[Task]:
    """Yield a task in even parts of `rows` or a few more."""
    whole = task.stop - task.first
    number = max(1, whole // rows)
    starts = [task.first + whole * part // number for part in range(number + 1)]
    for low, high in pairwise(starts):
        yield rows_of(task, low, high)


def _pace(
    conversion: Conversion, kind: type[MarkingWorker], tasks: Iterator[Task], seconds: float
) -> Pace:
    """Let all workers work for about `seconds` after their start."""
    tally = Tally()
    in_time = takewhile(lambda _task: not tally.has_lasted(seconds), tasks)
    with closing(_map(conversion, kind, in_time, seconds)) as batches:
        for batch in batches:
            tally.add(batch)
    return tally.pace()


def _map(
    conversion: Conversion,
    kind: type[MarkingWorker],
    tasks: Iterator[Task],
    seconds: float | None = None,
) -> Generator[Batch, None, None]:
    job = conversion.job
    recovery = Recovery(job.batch_size if job.batches_rows else None)
    return conversion.engine.map(partial(kind, job, seconds), tasks, recovery)


def _estimate(conversion: Conversion, pace: Pace) -> Estimate:
    known = [rows.rows for rows in conversion.series if rows.rows is not None]
    rows = sum(known) if conversion.limit is None else min(sum(known), conversion.limit)
    return Estimate(
        pace=pace,
        rows_in_all=rows if len(known) == len(conversion.series) else None,
        copies=conversion.job.copies,
        series=len(conversion.series),
        bounds=conversion.bounds,
        workers=conversion.workers,
        engine=conversion.engine_name,
        max_errors=conversion.max_errors,
        least_shards=least_shards(conversion),
        is_fixed=bool(conversion.borders),
    )
