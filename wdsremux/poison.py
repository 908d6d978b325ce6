"""Finds the record that kills its worker: by halves of its batch, in fresh workers.

A record is rejected only when it kills a worker all alone; a worker that dies for another reason
(an operator's kill, memory taken by a neighbour) costs a second try and no record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wdsremux.engines.base import Work, WorkerDiedError
from wdsremux.errors import TransformError
from wdsremux.records import Batch, Piece, Rejected, Task
from wdsremux.worker import CHUNK_ROWS

KILLED_BY_RECORD = "the worker died on this record: "
"""How the reason begins for which such a record is rejected."""

MAX_IDLE_ROUNDS = 3
"""Deaths in a row at one place that no single record explains."""

MAX_KILLERS = 20
"""Records in a row, without a batch done, that kill workers: past them the fault is not theirs."""


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
            position = self._poison(rest, attempt)
            if position is None:
                idle_rounds += 1
            else:
                idle_rounds, killers = 0, killers + 1
                reason = f"{KILLED_BY_RECORD}{death}"
                rest = replace(rest, poison=(*rest.poison, (position, reason)))
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

    def _poison(self, rest: Task, attempt: Work[Task, Batch]) -> int | None:
        """Return the first position of the next batch that kills a worker alone, if any."""
        known = {position for position, _ in rest.poison}
        low = rest.first
        high = min(rest.stop, low + (self.batch_rows or CHUNK_ROWS))
        while high - low > 1:
            middle = (low + high) // 2
            if _dies(rows_of(rest, low, middle), attempt):
                high = middle
            else:
                low = middle
        alone = rows_of(rest, low, high)
        return low if low not in known and _dies(alone, attempt) else None


def _given_up(rest: Task, death: WorkerDiedError, killers: int) -> TransformError:
    if killers > MAX_KILLERS:
        return TransformError(
            f"workers die on row after row from {rest.first} on ({death}): not the records are to "
            "blame but the function or a library; try it on a few rows with --workers 0 --limit 5"
        )
    return TransformError(
        f"workers die on rows {rest.first} to {rest.stop - 1} ({death}), but on none of them "
        "alone; look for memory that runs out, or try fewer --workers"
    )


def is_poison(rejected: Rejected) -> bool:
    """Return whether a record was rejected because it killed a worker."""
    return rejected.stage == "transform" and rejected.reason.startswith(KILLED_BY_RECORD)


def _dies(task: Task, attempt: Work[Task, Batch]) -> bool:
    try:
        for _ in attempt(task):
            pass
    except WorkerDiedError:
        return True
    return False


def rows_of(task: Task, low: int, high: int) -> Task:
    """Return the part of a task with positions low..high-1."""
    kept = []
    for piece in task.pieces:
        start = max(piece.start, low - piece.unit.first)
        stop = min(piece.stop, high - piece.unit.first)
        if start < stop:
            kept.append(Piece(piece.unit, start, stop))
    return replace(task, pieces=tuple(kept))
