"""A conversion, opened and checked: `converting` runs it in full, `repairing` for single shards."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

from wdsremux.core.head import Head
from wdsremux.core.manifest import Manifest
from wdsremux.core.option_values import ErrorLimit
from wdsremux.core.records import Batch, Task
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.dataset.shards.series import SeriesPlan, prefix_of
from wdsremux.processing.engines.base import Engine
from wdsremux.processing.even_shards import Lane
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.recovery import Recovery
from wdsremux.processing.tasks import SeriesRows, UnitsOf, pieces, tasks
from wdsremux.processing.worker import Worker
from wdsremux.stores.base import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """All parts of a conversion."""

    head: Head
    units: UnitsOf
    series: tuple[SeriesRows, ...]
    limit: int | None
    job: WorkerJob
    engine: Engine
    engine_name: str
    workers: int
    store: Store
    bounds: Bounds
    allow_oversize: bool
    max_errors: ErrorLimit
    fails_at_once: bool
    adapts_kernel: bool = False
    """Whether the kernel may be another one, that of the output as it was begun."""
    has_default_size: bool = False
    """Whether the user left the size of shards to wdsremux."""
    shard_rows: Mapping[str, int] = field(default_factory=dict)
    """By series, the rows after which a shard of the default size ends."""
    breaks: tuple[int, ...] = ()
    """Rows at which a new shard and a new batch begin, in order."""
    poison: tuple[tuple[int, str], ...] = ()
    """As in `Task`: rows that killed a worker before the conversion began."""
    borders: tuple[tuple[int, ...], ...] = ()
    """For each series, the positions at which its shards begin, and its end; empty where sizes
    decide."""
    lane: Lane | None = None
    """The lane that is made; None for all."""
    indexes: tuple[str, ...] = ()
    """Kinds of indexes for other loaders to write as well."""
    remarks: tuple[str, ...] = ()
    """Notes to show before the first row."""
    published: Callable[[Manifest], Mapping[str, Any]] = lambda _manifest: {}
    """Returns where all shards are published, for `Manifest.published`."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that decides the bytes."""
        return self.head.fingerprint

    @property
    def base(self) -> int:
        """Position of the first row of the first series."""
        return self.series[0].ranges[0].start

    @property
    def rows(self) -> int | None:
        """Rows of all series, at most --limit; None where the source does not know."""
        if self.lane is not None:
            ranges = [self.lane_rows(number) for number in range(len(self.borders))]
            return sum(stop - start for start, stop in ranges)
        known = [rows.rows for rows in self.series if rows.rows is not None]
        if len(known) < len(self.series):
            return None
        return sum(known) if self.limit is None else min(sum(known), self.limit)

    @property
    def stop(self) -> int | None:
        """Position at which --limit ends the run."""
        return None if self.limit is None else self.base + self.limit

    def lane_shards(self, series: int) -> tuple[int, int | None]:
        """Return the first shard of a series to make, and the one after the last, where known."""
        if self.lane is None:
            return 0, None
        return self.lane.shards(len(self.borders[series]) - 1)

    def lane_rows(self, series: int) -> tuple[int, int]:
        """Return the positions of the first row of the lane in a series, and after the last."""
        first, last = self.lane_shards(series)
        borders = self.borders[series]
        return borders[first], borders[-1 if last is None else last]

    def job_of(self, series: int) -> WorkerJob:
        """Return what is done to the rows of a series."""
        return self.job.chains[-1 if self.series[series].is_held_out else 0]

    def batch_rows(self, series: int) -> int:
        """Return the rows per call of a function, counted from the first of a series or a break."""
        job = self.job_of(series)
        return job.batch_size if job.batches_rows else 1

    def tasks(self, series: int, base: int, start: int, stop: int | None) -> Iterator[Task]:
        """Yield the tasks of a series from the batch that holds row `start`.

        `base` is the position of the series' first row. No task crosses a break.
        """
        batch_rows, is_held_out = self.batch_rows(series), self.series[series].is_held_out
        inside = [row for row in self.breaks if base < row and (stop is None or row < stop)]
        for low, high in pairwise([base, *inside, stop]):
            if low is not None and (high is None or high > start):
                first = max(start, low)
                aligned = first - (first - low) % batch_rows
                found = pieces(self.units, self.series[series], base, aligned, high)
                for task in tasks(found, batch_rows, series):
                    yield replace(task, is_held_out=is_held_out, poison=self.poison)

    def batch_end(self, series: int, base: int, row: int) -> int:
        """Return the end of the batch that holds the row before `row`; the rest as in `tasks`."""
        batch_rows = self.batch_rows(series)
        low = max([base, *(at for at in self.breaks if at < row)])
        end = low + -(-(row - low) // batch_rows) * batch_rows
        return min([end, *(at for at in self.breaks if at >= row)])

    def batches(self, found: Iterator[Task]) -> Generator[Batch, None, None]:
        """Yield the batches of tasks, in order; closing the generator stops the workers."""
        return self.engine.map(partial(Worker, self.job), found, Recovery(self.job.rows_a_call))

    def plan(self, series: int, copy: int) -> SeriesPlan:
        """Return the settings of the shards of one copy of a series."""
        name = self.series[series].name
        return SeriesPlan(
            split=name,
            copy=copy,
            prefix=prefix_of(name, copy, self.job.copies),
            bounds=replace(self.bounds, rows=self.shard_rows.get(name)),
            extensions=self.job.extensions,
            fingerprint=self.fingerprint,
            allow_oversize=self.allow_oversize,
            borders=self.borders[series] if self.borders else (),
        )
