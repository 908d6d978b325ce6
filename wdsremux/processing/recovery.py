"""Finds the record that kills its worker: row by row, in fresh workers.

Deaths are expensive: a new worker takes half a second, or much longer if the user's function
imports a lot, and a record that hangs takes the whole time limit. So a probe processes the rows one
by one and dies at the culprit; a binary search would kill many workers.

A record is rejected only if it kills two workers while alone in its task. A worker that dies for
another reason (a manual kill, memory used by other processes) costs a retry, not a record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from wdsremux.core.errors import TransformError
from wdsremux.core.records import Batch, Piece, Rejected, Task
from wdsremux.processing.engines.base import Work, WorkerDiedError, WorkerOverdueError
from wdsremux.processing.worker import CHUNK_ROWS

KILLED_BY_RECORD = "the worker died on this record: "
"""Prefix of the reason of such a reject."""

TRIALS = 2
"""Workers that a record must kill, alone in its task, before it is rejected."""

MAX_IDLE_ROUNDS = 3
"""Deaths in a row at one place that no single record explains, before the run ends."""

MAX_KILLERS = 20
"""Records in a row that kill workers before the function itself is considered at fault."""

_TRY_ALONE = "try it on a few rows with --workers 0 --limit 5"


@dataclass(frozen=True, slots=True)
class Recovery:
    """`recover` of an engine: yields the batches that a dead worker did not deliver."""

    batch_rows: int | None
    """Rows per call of the user's batch function; None without one."""

    def __call__(
        self,
        task: Task,
        last: Batch | None,
        death: WorkerDiedError,
        attempt: Work[Task, Batch],
    ) -> Iterator[Batch]:
        """Yield the batches of a task after `last`.

        Raises TransformError when workers die on rows that pass one by one.
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
        """Yield the rows of the next batch that each kill a worker alone, with the reason."""
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
    """Return how workers died on a row, if every worker died that got the row alone."""
    death: WorkerDiedError | None = None
    for _ in range(TRIALS):
        death = _probed(alone, attempt)[1]
        if death is None:
            return None
    return death


def _probed(task: Task, attempt: Work[Task, Batch]) -> tuple[int, WorkerDiedError | None]:
    """Process rows one by one; return the row at which the worker died, and how."""
    position = task.first
    try:
        for batch in attempt(replace(task, is_probe=True)):
            position = batch.first + batch.rows
    except WorkerDiedError as death:
        # A death after the last row is attributed to the last row.
        return min(position, task.stop - 1), death
    return position, None


def _given_up(rest: Task, death: WorkerDiedError, killers: int) -> TransformError:
    is_overdue = isinstance(death, WorkerOverdueError)
    if killers > MAX_KILLERS and is_overdue:
        return TransformError(
            f"every row from row {rest.first} exceeds --record-timeout ({death}): raise it if the "
            f"function is slow; if it hangs, {_TRY_ALONE}"
        )
    if killers > MAX_KILLERS:
        return TransformError(
            f"workers keep crashing from row {rest.first} ({death}): the function or a library is "
            f"at fault, not single records; {_TRY_ALONE}"
        )
    advice = (
        "raise --record-timeout: together they exceed it"
        if is_overdue
        else "check the memory in use, or use fewer --workers"
    )
    return TransformError(
        f"workers crash on rows {rest.first} to {rest.stop - 1} ({death}), but on none of them "
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
    return replace(task, pieces=tuple(kept), counts_from=task.counted_from)
