"""Prints what the main process costs when its workers only return ready samples, as JSON.

Each worker returns the same 256 finished samples repeatedly; positions and keys advance. What the
main process spends on ordering, assigning, reading pipes and recording is measured separately from
hashing and writing, by the CPU clock.
"""

import argparse
import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wdsremux.converting.run import convert
from wdsremux.core.events import Begun, Done, Event
from wdsremux.core.recipe import Recipe, Run
from wdsremux.core.records import Batch, PackedSamples, Record, Task
from wdsremux.dataset.shards import series
from wdsremux.processing.engines.base import Engine
from wdsremux.processing.opening import open_conversion
from wdsremux.processing.plan import Conversion
from wdsremux.processing.tasks import RowRange, SeriesRows
from wdsremux.processing.worker import Worker
from wdsremux.stores.folder.file import LocalFile
from wdsremux.transforms.steps.catalogue import FOUNDING

ROWS = 256


@dataclass(frozen=True, slots=True)
class Blank:
    """A unit of which nothing is read."""

    first: int
    rows: int = ROWS
    size_bytes: int = 10**7
    name: str = "blank"

    def read(self, _start: int, _stop: int) -> Iterator[Record]:
        """Yield nothing."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Ready:
    """Work that was done before."""

    packed: PackedSamples

    def __call__(self, task: Task) -> Iterator[Batch]:
        """Yield the same samples for every unit, under its positions."""
        for piece in task.pieces:
            positions = list(range(piece.first, piece.first + ROWS))
            keys = [f"{position:09d}" for position in positions]
            yield Batch(piece.first, ROWS, (replace(self.packed, positions=positions, keys=keys),))


@dataclass(frozen=True, slots=True)
class ReadyEngine:
    """An engine that lets its workers do ready work, whatever work is asked for."""

    engine: Engine
    packed: PackedSamples

    def map(self, _make_work: Any, items: Iterable[Any], _recover: Any = None) -> Generator[Any]:
        """Yield the ready results of all items."""
        packed = self.packed
        return self.engine.map(lambda: Ready(packed), items)


def ready_conversion(source: Path, out: Path, run: Run, samples: int) -> Conversion:
    """Return a conversion of that many blank rows, with an engine that has them ready."""
    conversion = open_conversion(str(source), out, Recipe(steps=FOUNDING), run, None)
    task = next(conversion.tasks(0, 0, 0, ROWS))
    batches = list(Worker(conversion.job)(task))
    packed = _repeated(batches[0].packed[0])
    units = samples // ROWS
    return replace(
        conversion,
        units=lambda _split, start: (Blank(i * ROWS) for i in range(start // ROWS, units)),
        series=(SeriesRows("train", (RowRange("train", 0, units * ROWS),)),),
        engine=ReadyEngine(conversion.engine, packed),
    )


def _repeated(packed: PackedSamples) -> PackedSamples:
    """Return packed samples of ROWS samples, made of those of a smaller one."""
    view, at, parts = memoryview(packed.payload), 0, []
    for size in packed.sizes:
        parts.append(bytes(view[at : at + size]))
        at += size
    order = [i % len(parts) for i in range(ROWS)]
    return PackedSamples(
        b"".join(parts[i] for i in order),
        list(range(ROWS)),
        [""] * ROWS,
        [packed.sizes[i] for i in order],
        [packed.crcs[i] for i in order],
        [packed.members[i] for i in order],
    )


class Clock:
    """Sums up the CPU time of hashing and writing."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def watch(self) -> None:
        """Put a clock around the places that hash and write: a shard's bytes, and its sync."""
        shard, file = series._OpenShard, LocalFile  # noqa: SLF001 (no other place to measure at)
        shard.write = self._timed(shard.write)  # type: ignore[method-assign]
        file.commit = self._timed(file.commit)  # type: ignore[method-assign]

    def _timed(self, call: Callable[..., None]) -> Callable[..., None]:
        def timed(*arguments: Any) -> None:
            began = time.thread_time()
            call(*arguments)
            self.spent_s += time.thread_time() - began

        return timed


def main() -> None:
    """Run the line over ready samples."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--src", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", choices=("threads", "processes"), default="processes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--samples", type=int, default=40_000)
    given = parser.parse_args()
    run = Run(workers=given.workers, engine=given.engine)
    conversion = ready_conversion(given.src, given.out, run, given.samples)
    clock, cpu_s, main_s = Clock(), {}, {}
    clock.watch()

    def note(event: Event) -> None:
        cpu_s[type(event)], main_s[type(event)] = time.process_time(), time.thread_time()

    done = convert(conversion, note).totals.samples
    # Threads that only make lists of numbers stand for workers elsewhere: they are not the main
    # process's own. With processes the threads that read the pipes are.
    times = cpu_s if given.engine == "processes" else main_s
    beyond_s = times[Done] - times[Begun] - clock.spent_s
    reported = {"beyond_us": 1e6 * beyond_s / done, "hash_and_write_us": 1e6 * clock.spent_s / done}
    print(json.dumps({"samples": done, **reported}))


if __name__ == "__main__":
    main()
