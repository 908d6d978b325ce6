"""Where one machine saturates: images per second by its number of CPUs, from measured costs.

    python tools/scale/one_machine.py --corpus out/bench/corpus/inet [--rounds 5] [--json FILE]

Measured in one thread, for the founding augmentation: CPU time for an image in the native kernel
and in pyarrow (which release Python's lock), around them (Python, packing), and what the main
process spends on a finished sample (tools/bench/hand_over.py). The model: a stage that only one CPU
can do at a time bounds the rate at 1 / its time. With threads that is all that holds Python's lock,
with processes it is the main process. The table has the smaller of the two, and what all CPUs could
do.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from wdsremux.core.recipe import Recipe, Run
from wdsremux.processing.opening import open_conversion
from wdsremux.processing.worker import Worker
from wdsremux.transforms.kernel.native import NativeJpeg
from wdsremux.transforms.steps.catalogue import FOUNDING

HAND_OVER = Path(__file__).parents[1] / "bench" / "hand_over.py"
CPUS = (2, 4, 8, 16, 32, 64, 128)
HYPERTHREADING = "CPUs are hardware threads as the operating system counts them."


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of CPU for one image."""

    native: float
    """In the kernel and in pyarrow, without Python's lock."""
    python: float
    """In a worker, besides: an upper bound of what holds Python's lock."""
    order: float
    """In the main process: assigning, ordering, recording; with processes reading pipes, too."""
    hash_and_write: float
    """In the main process, without Python's lock."""


class NativeClock:
    """Sums up the CPU time of this thread in native code that releases Python's lock."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def watch(self) -> None:
        """Put the clock around the kernel, and around reading Parquet."""
        NativeJpeg._render = self._timed(NativeJpeg._render)  # type: ignore[method-assign]  # noqa: SLF001 (the only place)
        iter_batches = pq.ParquetFile.iter_batches

        def timed(*arguments: Any, **options: Any) -> Iterator[Any]:
            batches = iter_batches(*arguments, **options)
            following = self._timed(lambda: next(batches, None))
            while (batch := following()) is not None:
                yield batch

        pq.ParquetFile.iter_batches = timed

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.thread_time()
            made = call(*arguments)
            self.spent_s += time.thread_time() - began
            return made

        return timed


def worker_costs(corpus: Path, clock: NativeClock) -> tuple[float, float]:
    """Return native and other microseconds for an image of the corpus, in a worker."""
    with tempfile.TemporaryDirectory() as scratch:
        run, out = Run(workers=0), Path(scratch) / "out"
        conversion = open_conversion(str(corpus), out, Recipe(steps=FOUNDING), run, None)
        rows = conversion.series[0].rows or 0
        work = Worker(conversion.job)
        clock.spent_s, began, done = 0.0, time.thread_time(), 0
        for task in conversion.tasks(0, 0, 0, rows):
            done += sum(batch.rows for batch in work(task))
        spent_s = time.thread_time() - began
    return 1e6 * clock.spent_s / done, 1e6 * (spent_s - clock.spent_s) / done


def main_costs(corpus: Path, engine: str) -> tuple[float, float]:
    """Return what the main process spends on a sample: on its order, and on hashing and writing."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, str(HAND_OVER), "--src", str(corpus), "--engine", engine]
        command += ["--out", str(Path(scratch) / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["beyond_us"], found["hash_and_write_us"]


def measured(corpus: Path, rounds: int) -> dict[str, Costs]:
    """Return the median costs of each engine over interleaved rounds."""
    clock = NativeClock()
    clock.watch()
    worker_costs(corpus, clock)  # imports and caches are not counted
    found: dict[str, list[Costs]] = {"threads": [], "processes": []}
    for _ in range(rounds):
        for engine, each in found.items():
            each.append(Costs(*worker_costs(corpus, clock), *main_costs(corpus, engine)))
    fields = Costs.__dataclass_fields__
    return {
        engine: Costs(
            **{name: statistics.median(getattr(c, name) for c in each) for name in fields}
        )
        for engine, each in found.items()
    }


def rate(engine: str, costs: Costs, cpus: int) -> float:
    """Return images per second: of all CPUs, or of the stage that only one of them can do."""
    in_all = costs.native + costs.python + costs.order + costs.hash_and_write
    locked = costs.python + costs.order
    one_at_a_time = max(locked, costs.order + costs.hash_and_write)
    if engine == "processes":
        one_at_a_time = costs.order + costs.hash_and_write
    return min(cpus * 1e6 / in_all, 1e6 / one_at_a_time)


def table(found: dict[str, Costs]) -> list[str]:
    """Return the lines of the report."""
    lines = [
        "| µs of CPU for an image | native | Python | order | hash and write |",
        "|" + " --- |" * 5,
    ]
    lines += [
        f"| {engine} | {c.native:.0f} | {c.python:.0f} | {c.order:.1f} | {c.hash_and_write:.1f} |"
        for engine, c in found.items()
    ]
    lines += ["", f"| images/s with CPUs | {' | '.join(map(str, CPUS))} |"]
    lines.append("|" + " --- |" * (len(CPUS) + 1))
    for engine, costs in found.items():
        rates = [f"{rate(engine, costs, cpus):,.0f}" for cpus in CPUS]
        lines.append(f"| {engine} | {' | '.join(rates)} |")
    return [*lines, "", HYPERTHREADING]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the model."""
    parser = argparse.ArgumentParser(description="where one machine saturates")
    parser.add_argument("--corpus", type=Path, required=True, help="a dataset of make_corpus.py")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the costs here, too")
    given = parser.parse_args(arguments)
    found = measured(given.corpus, given.rounds)
    print("\n".join(table(found)))
    if given.json:
        costs = {
            engine: {k: getattr(c, k) for k in Costs.__dataclass_fields__}
            for engine, c in found.items()
        }
        given.json.write_text(json.dumps(costs, indent=1) + "\n")


if __name__ == "__main__":
    main()
