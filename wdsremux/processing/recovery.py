"""Finds the record that kills its worker: row by row, in fresh workers.

Deaths are what costs: a new worker takes half a second, or much longer when the user's function
imports much, and a record that hangs takes all the patience. So the rows of the batch go through a
probe one by one, which dies at the culprit, and not by halves, of which many would die.

A record is rejected only when it kills workers all alone, twice; a worker that dies for another
reason (an operator's kill, memory taken by a neighbour) costs another try and no record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from wdsremux.core.errors import TransformError
from wdsremux.core.records import Batch, Piece, Rejected, Task
from wdsremux.processing.engines.base import Work, WorkerDiedError, WorkerOverdueError
from wdsremux.processing.worker import CHUNK_ROWS

KILLED_BY_RECORD = "the worker died on this record: "
"""How the reason begins for which such a record is rejected."""

TRIALS = 2
"""Workers that a record must kill all alone before it is rejected."""

MAX_IDLE_ROUNDS = 3
"""Deaths in a row at one place that no single record explains."""

MAX_KILLERS = 20
"""Records in a row, without a batch done, that kill workers: past them the fault is not theirs."""

_TRY_ALONE = "try it on a few rows with --workers 0 --limit 5"


@dataclass(frozen=True, slots=True)
class Recovery:
    """`recover` of an engine: gives the batches that a dead worker still owed."""

    batch_rows: int | None
    """Rows that the user's batch function sees together; None where there is none."""

    def __call__(
        self,
        task: Task,
        last: Batch | None,
        death: WorkerDiedError,
        attempt: Work[Task, Batch],
    ) -> Iterator[Batch]:
        """Yield the batches of a task that come after `last`.

        Raises TransformError when workers die on rows that do them no harm one by one.
        """
        rest = task if last is None else rows_of(task, last.first + last.rows, task.stop)
        idle_rounds = killers = 0
        while rest.pieces:
            found = list(islice(self._killers(rest, attempt), MAX_KILLERS + 1 - killers))
            rest = replace(rest, poison=(*rest.poison, *found))
            idle_rounds, killers = 0 if found else idle_rounds + 1, killers + len(found)
            if idle_rounds > MAX_IDLE_ROUNDS or killers > MAX_KILLERS:
                raise _given_up(rest, death, killers)
            try:
                for batch in attempt(rest):
                    rest = rows_of(rest, batch.first + batch.rows, rest.stop)
                    idle_rounds = killers = 0
                    yield batch
            except WorkerDiedError as exc:
                death = exc
            else:
                return

    def _killers(self, rest: Task, attempt: Work[Task, Batch]) -> Iterator[tuple[int, str]]:
        """Yield the rows of the next batch that kill a worker alone, each with its reason."""
        known = {position for position, _ in rest.poison}
        low = rest.first
        high = min(rest.stop, low + (self.batch_rows or CHUNK_ROWS))
        acquitted = 0
        while low < high and acquitted <= MAX_IDLE_ROUNDS:
            suspect, death = _probed(rows_of(rest, low, high), attempt)
            if death is None:
                return
            low = suspect + 1
            if suspect not in known:
                death = _tried(rows_of(rest, suspect, low), attempt)
                if death is not None:
                    yield suspect, f"{KILLED_BY_RECORD}{death}"
                    continue
            acquitted += 1


def _tried(alone: Task, attempt: Work[Task, Batch]) -> WorkerDiedError | None:
    """Return how workers died of a row, when all did that got it alone."""
    death: WorkerDiedError | None = None
    for _ in range(TRIALS):
        death = _probed(alone, attempt)[1]
        if death is None:
            return None
    return death


def _probed(task: Task, attempt: Work[Task, Batch]) -> tuple[int, WorkerDiedError | None]:
    """Work on rows one by one; return the row at which the worker died, and how it did."""
    position = task.first
    try:
        for batch in attempt(replace(task, is_probe=True)):
            position = batch.first + batch.rows
    except WorkerDiedError as death:
        # After the last row there is none to blame but the last.
        return min(position, task.stop - 1), death
    return position, None


def _given_up(rest: Task, death: WorkerDiedError, killers: int) -> TransformError:
    is_overdue = isinstance(death, WorkerOverdueError)
    if killers > MAX_KILLERS and is_overdue:
        return TransformError(
            f"row after row from {rest.first} on takes longer than --record-timeout allows "
            f"({death}): raise it if the function is only slow; if it hangs, {_TRY_ALONE}"
        )
    if killers > MAX_KILLERS:
        return TransformError(
            f"workers die on row after row from {rest.first} on ({death}): not the records are to "
            f"blame but the function or a library; {_TRY_ALONE}"
        )
    advice = (
        "raise --record-timeout, which they are too slow for together"
        if is_overdue
        else "look for memory that runs out, or try fewer --workers"
    )
    return TransformError(
        f"workers die on rows {rest.first} to {rest.stop - 1} ({death}), but on none of them "
        f"alone; {advice}"
    )


def is_poison(rejected: Rejected) -> bool:
    """Return whether a record was rejected because it killed a worker."""
    return rejected.stage == "transform" and rejected.reason.startswith(KILLED_BY_RECORD)


def rows_of(task: Task, low: int, high: int) -> Task:
    """Return the part of a task with positions low..high-1."""
    kept = []
    for piece in task.pieces:
        start = max(piece.start, low - piece.unit.first)
        stop = min(piece.stop, high - piece.unit.first)
        if start < stop:
            kept.append(Piece(piece.unit, start, stop))
    return replace(task, pieces=tuple(kept))
