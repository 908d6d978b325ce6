"""Finds the record that kills its worker: row by row, in fresh workers.

Deaths are expensive: a new worker takes half a second, or much longer if the user's function
imports a lot, and a record that hangs takes the whole time limit. So a probe processes the rows one
by one and dies at the culprit; a binary search would kill many workers.

A record is rejected only if it kills two workers while alone in its task. A worker that dies for
another reason (a manual kill, memory used by other processes) costs a retry, not a record. A
record that exceeds its time limit alone is rejected at once: another try would cost as much again.
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

MAX_KILLS = 3
"""Workers that the system may kill on the rows of a task, unless a single row explains it."""

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
        kills = _Kills(attempt)
        kills.note(death)
        idle_rounds = killers = 0
        while rest.pieces:
            search = self._killers(rest, death, kills.attempt)
            found = list(islice(search, MAX_KILLERS + 1 - killers))
            rest = replace(rest, poison=(*rest.poison, *found))
            idle_rounds, killers = 0 if found else idle_rounds + 1, killers + len(found)
            if idle_rounds > MAX_IDLE_ROUNDS or killers > MAX_KILLERS:
                raise _given_up(rest, death, killers)
            try:
                for batch in kills.attempt(rest):
                    rest = rows_of(rest, batch.first + batch.rows, rest.stop)
                    idle_rounds = killers = 0
                    kills.forget()
                    yield batch
            except WorkerDiedError as exc:
                death = exc
            else:
                return

    def _killers(
        self, rest: Task, death: WorkerDiedError, attempt: Work[Task, Batch]
    ) -> Iterator[tuple[int, str]]:
        """Yield the rows of the next batch that each kill a worker alone, with the reason."""
        known = {position for position, _ in rest.poison}
        low = rest.first
        high = min(rest.stop, low + (self.batch_rows or CHUNK_ROWS))
        marked = death.row
        if marked is not None and low <= marked < high and marked not in known:
            # The mark says which row it was: no search is needed.
            proof = _convicted(rest, marked, death, attempt)
            if proof is not None:
                yield marked, f"{KILLED_BY_RECORD}{proof}"
                return
        acquitted = 0
        while low < high and acquitted <= MAX_IDLE_ROUNDS:
            suspect, last = _probed(rows_of(rest, low, high), attempt)
            if last is None:
                return
            low = suspect + 1
            if suspect not in known:
                proof = _convicted(rest, suspect, last, attempt)
                if proof is not None:
                    yield suspect, f"{KILLED_BY_RECORD}{proof}"
                    continue
            acquitted += 1


class _Kills:
    """Counts the workers that the system killed on the rows of a task: usually for memory."""

    def __init__(self, attempt: Work[Task, Batch]) -> None:
        self._attempt = attempt
        self._rows: list[int | None] = []

    def attempt(self, task: Task) -> Iterator[Batch]:
        """Do an attempt; raises TransformError when the system kills worker after worker."""
        try:
            yield from self._attempt(task)
        except WorkerDiedError as death:
            self.note(death)
            raise

    def note(self, death: WorkerDiedError) -> None:
        """Count a death; raises TransformError for the third that no single row explains."""
        if not death.is_killed:
            return
        self._rows.append(death.row)
        is_one_row = len({*self._rows} - {None}) == 1 and self._rows.count(None) < MAX_KILLS
        if len(self._rows) >= MAX_KILLS and not is_one_row:
            raise _out_of_memory(self._rows) from death

    def forget(self) -> None:
        """Begin to count again, after rows that passed."""
        self._rows.clear()


def _out_of_memory(rows: list[int | None]) -> TransformError:
    named = sorted({row for row in rows if row is not None})
    where = f" (at {' and '.join(f'row {row}' for row in named[:3])})" if named else ""
    return TransformError(
        f"the system killed {len(rows)} worker processes in a row{where}, most likely for memory: "
        "use fewer --workers, or a lower --batch-memory or --batch-size; if your function keeps "
        f"what it has made, {_TRY_ALONE}"
    )


def _convicted(
    rest: Task, row: int, death: WorkerDiedError, attempt: Work[Task, Batch]
) -> WorkerDiedError | None:
    """Return how workers died on a row that one has died on, if others die on it alone, too."""
    if isinstance(death, WorkerOverdueError):
        return death
    if death.is_killed and row + 1 < rest.stop:
        # Does the next row kill, too? Then it is not the row, and `_Kills` sees it.
        _probed(rows_of(rest, row + 1, row + 2), attempt)
    proof: WorkerDiedError | None = death
    for _ in range(TRIALS):
        proof = _probed(rows_of(rest, row, row + 1), attempt)[1]
        if proof is None:
            return None
    return proof


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
