"""What a conversion would take on this machine, measured on the first rows of the user's data."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from wdsremux.api import open_conversion
from wdsremux.conversion import Conversion
from wdsremux.converting import convert
from wdsremux.engines.base import Work
from wdsremux.errors import SourceError
from wdsremux.events import Advanced, Begun, Done, Event
from wdsremux.opening import SourceLike
from wdsremux.poison import Recovery
from wdsremux.profiling import LoadingWorker, Profile, profile
from wdsremux.recipe import Recipe, Run
from wdsremux.records import Batch, Rejected, Task
from wdsremux.shards.assign import Bounds
from wdsremux.worker import Worker

SECONDS = 20.0
"""How long `bench` takes, about."""
PROFILE_SHARE, CONVERT_SHARE, LOAD_SHARE = 0.25, 0.45, 0.15
"""Parts of that time: one worker watched, the real line, and loading twice."""
ESTIMATE_SECONDS = 5.0
MAX_SCRATCH_BYTES = 500 * 10**6


@dataclass(frozen=True, slots=True)
class Pace:
    """What all workers together did in a while."""

    rows: int
    samples: int
    rejected: int
    input_bytes: int
    """Stored image bytes read."""
    output_bytes: int
    """Bytes of tar."""
    seconds: float
    first_rejected: Rejected | None = None

    @property
    def rows_per_s(self) -> float:
        """Rows in a second."""
        return self.rows / self.seconds

    def to_json(self) -> dict[str, Any]:
        """Return what was counted, and the rates."""
        return {
            "rows": self.rows,
            "samples": self.samples,
            "rejected": self.rejected,
            "seconds": round(self.seconds, 3),
            "images_per_s": round(self.rows_per_s, 1),
            "read_mb_per_s": round(self.input_bytes / self.seconds / 1e6, 2),
            "written_mb_per_s": round(self.output_bytes / self.seconds / 1e6, 2),
        }


@dataclass(slots=True)
class _Tally:
    """Sums up what workers did."""

    rows: int = 0
    samples: int = 0
    rejected: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    first_rejected: Rejected | None = None

    def add(self, event: Advanced) -> None:
        """Take a batch into the sums."""
        self.rows += event.rows
        self.samples += event.samples
        self.rejected += len(event.rejected)
        self.input_bytes += event.input_bytes
        self.output_bytes += event.output_bytes
        self.first_rejected = self.first_rejected or next(iter(event.rejected), None)

    def pace(self, seconds: float) -> Pace:
        """Return the sums for a time. Raises SourceError when there was nothing to do."""
        if not self.rows:
            raise SourceError("the source has no rows: there is nothing to measure")
        return Pace(
            self.rows,
            self.samples,
            self.rejected,
            self.input_bytes,
            self.output_bytes,
            max(seconds, 1e-9),
            self.first_rejected,
        )


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

    @property
    def size_bytes(self) -> int | None:
        """Size of all shards together."""
        if self.rows_in_all is None:
            return None
        return round(self.pace.output_bytes / self.pace.rows * self.rows_in_all)

    @property
    def seconds(self) -> float | None:
        """Time for all rows."""
        return None if self.rows_in_all is None else self.rows_in_all / self.pace.rows_per_s

    @property
    def shards(self) -> int | None:
        """Number of shards, if all series have the same share."""
        if self.rows_in_all is None or self.size_bytes is None:
            return None
        parts = self.series * self.copies
        by_size = self.size_bytes / parts / self.bounds.max_bytes
        samples = self.pace.samples / self.pace.rows * self.rows_in_all / parts
        by_count = samples / self.bounds.max_samples if self.bounds.max_samples else 0
        return parts * max(1, math.ceil(by_size), math.ceil(by_count))

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
    """Work on the first rows for about so long, with all workers, and write nothing."""
    pace = _pace(conversion, partial(Worker, conversion.job), _tasks(conversion), seconds)
    return _estimate(conversion, pace)


def bench(source: SourceLike, recipe: Recipe, run: Run, *, seconds: float = SECONDS) -> Bench:
    """Measure for about so long; the shards made on the way lie in a temporary folder.

    Raises what `convert` raises.
    """
    with tempfile.TemporaryDirectory(prefix="wdsremux-bench-") as folder:
        out = Path(folder, "out")
        conversion = open_conversion(source, out, recipe, run, recipe.transform)
        profiled = profile(conversion.job, _tasks(conversion), PROFILE_SHARE * seconds)
        converted = _convert(replace(conversion, limit=_rows_for(conversion, profiled, seconds)))
        from_source = _loading(conversion, LOAD_SHARE * seconds)
        kind: Any = "auto" if conversion.engine_name == "serial" else conversion.engine_name
        same = replace(run, workers=conversion.workers, engine=kind)
        as_they_are = Recipe(split="all", max_pixels=recipe.max_pixels, format=recipe.format)
        nowhere = Path(folder, "nothing is written here")
        shards = open_conversion(str(out), nowhere, as_they_are, same, None)
        return Bench(
            profiled,
            _estimate(conversion, converted),
            from_source,
            _loading(shards, LOAD_SHARE * seconds),
        )


def _rows_for(conversion: Conversion, profiled: Profile, seconds: float) -> int:
    """Return how many rows the real line gets: by its time, and by the room for its shards."""
    rate = profiled.rows_per_s * max(1, conversion.workers)
    by_room = MAX_SCRATCH_BYTES * profiled.rows // max(1, profiled.output_bytes)
    rows = max(1, min(round(rate * CONVERT_SHARE * seconds), by_room))
    return rows if conversion.limit is None else min(rows, conversion.limit)


def _convert(conversion: Conversion) -> Pace:
    """Run the line as `convert` does, and return its pace, from its begin to the manifest."""
    moments: dict[type[Event], float] = {}
    tally = _Tally()

    def note(event: Event) -> None:
        moments[type(event)] = time.perf_counter()
        if isinstance(event, Advanced):
            tally.add(event)

    convert(conversion, note)
    return tally.pace(moments[Done] - moments[Begun])


def _loading(conversion: Conversion, seconds: float) -> Pace:
    """Load images to pixels for so long, from the first row again where they are few."""
    job = replace(conversion.job, copies=1)

    def again_and_again() -> Iterator[Task]:
        while True:
            yield from _tasks(conversion)

    return _pace(conversion, partial(LoadingWorker, job), again_and_again(), seconds)


def _tasks(conversion: Conversion) -> Iterator[Task]:
    """Yield all tasks of a conversion that begins."""
    base = conversion.base
    for number in range(len(conversion.series)):
        end = base
        for task in conversion.tasks(number, base, base, conversion.stop):
            end = task.stop
            yield task
        base = end


def _pace(
    conversion: Conversion,
    make_work: Callable[[], Work[Task, Batch]],
    tasks: Iterator[Task],
    seconds: float,
) -> Pace:
    """Let all workers work for about so long; the start of the workers is part of it."""
    tally = _Tally()
    job = conversion.job
    recovery = Recovery(job.batch_size if job.batches_rows else None)
    began = now = time.perf_counter()
    with closing(conversion.engine.map(make_work, tasks, recovery)) as batches:
        for batch in batches:
            samples = sum(len(lot.keys) for lot in batch.lots)
            tally.add(
                Advanced(batch.rows, samples, batch.rejected, batch.input_bytes, batch.size_bytes)
            )
            now = time.perf_counter()
            if now - began >= seconds:
                break
    return tally.pace(now - began)


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
    )
