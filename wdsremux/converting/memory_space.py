"""Warns before the first row when a run may not fit into memory; never refuses to run.

An estimate: what a worker process takes, the row group it holds, the rows of a call of the user's
function, or an image that is decoded at full scale. Says nothing where all of it fits.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from wdsremux.core.option_values import counted, size
from wdsremux.core.records import Task, Unit
from wdsremux.processing.job import WorkerJob
from wdsremux.transforms.codecs.codec import DecodeError, stored_size

MAIN_BYTES = 150_000_000
PROCESS_BYTES = 110_000_000
"""Of the run, and of each worker process: the interpreter and its libraries."""
BATCH_FACTOR = 2.5
"""Memory of a call per byte of its decoded images: arrays, PIL images, and what is returned."""
DECODED_FACTOR = 12
"""Decoded bytes per stored byte, at most about: JPEG photos of quality 85."""


@runtime_checkable
class HoldsMemory(Protocol):
    """A unit that is held in memory as long as it is read."""

    @property
    def held_bytes(self) -> int:
        """How much memory that takes."""


@dataclass(frozen=True, slots=True)
class _Estimate:
    """Bytes of one worker, by what takes them."""

    process: int
    unit: int
    images: int

    @property
    def total(self) -> int:
        return self.process + self.unit + self.images

    @property
    def parts(self) -> str:
        named = (("row groups of", self.unit), ("decoded images of", self.images))
        found = [f"{what} {size(taken)}" for what, taken in named if taken > self.process]
        return f" ({' and '.join(found)} in each)" if found else ""


class MemoryWatch:
    """Compares what the workers will take with the memory there is, and warns once."""

    def __init__(
        self, job: WorkerJob, workers: int, *, has_processes: bool, usable_bytes: int | None
    ) -> None:
        """`usable_bytes` is None if it is not known: then nothing is said."""
        self._job = job
        self._workers = workers
        self._process = PROCESS_BYTES if has_processes else 0
        self._usable = usable_bytes
        self._largest = 0

    def warning(self, task: Task) -> str | None:
        """Return a warning before a task is worked on, if there is a new one."""
        if self._usable is None or not task.pieces:
            return None
        unit = max((piece.unit for piece in task.pieces), key=_held)
        if self._largest and _held(unit) <= self._largest:
            return None
        self._largest = max(1, _held(unit))
        found = self._estimate(unit, DECODED_FACTOR * unit.size_bytes // max(1, unit.rows))
        if found.images and self._needed(found) > self._usable:
            # Only now is it worth to read an image: their number of pixels decides.
            found = self._estimate(unit, _decoded_bytes(unit))
        if self._needed(found) <= self._usable:
            return None
        text, self._usable = self._text(found, self._usable), None
        return text

    def _needed(self, found: _Estimate) -> int:
        return MAIN_BYTES + max(1, self._workers) * found.total

    def _estimate(self, unit: Unit, image: int) -> _Estimate:
        job = self._job
        images = 0
        if job.batches_rows:
            rows = image * job.copies * job.batch_size
            bound = rows if job.batch_memory is None else max(image * job.copies, job.batch_memory)
            images = round(BATCH_FACTOR * min(rows, bound))
        elif not job.steps and not job.passes_through:
            # With steps, images are mostly decoded at a reduced scale.
            images = image * (1 + job.copies)
        return _Estimate(self._process, _held(unit), images)

    def _text(self, found: _Estimate, usable: int) -> str:
        workers = max(1, self._workers)
        fitting = (usable - MAIN_BYTES) // max(1, found.total)
        if 1 <= fitting < workers:
            advice = f"run with --workers {fitting}"
        elif workers > 1:
            advice = f"run with --workers 1, which takes about {size(MAIN_BYTES + found.total)}"
        elif self._job.batches_rows and found.images > found.unit:
            advice = "run with a lower --batch-memory or --batch-size"
        else:
            advice = "a machine with more memory is needed, or smaller row groups and images"
        return (
            f"memory may run out: {counted(workers, 'worker')} will take about "
            f"{size(self._needed(found))}{found.parts}, and this machine or container has "
            f"{size(usable)}; {advice}"
        )


def _held(unit: Unit) -> int:
    return unit.held_bytes if isinstance(unit, HoldsMemory) else 0


def _decoded_bytes(unit: Unit) -> int:
    """Return the bytes of the first image of a unit, decoded."""
    for record in unit.read(0, 1):
        if record.image is None:
            break
        try:
            width, height = stored_size(record.image)
        except DecodeError:
            break
        return 3 * width * height
    return 0
