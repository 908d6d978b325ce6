"""Deaths that show their row: a hanging row costs its limit once, and a lack of memory is named."""

from functools import partial

import pytest
from support.samples import packed_of
from support.units import MemoryUnit

from wdsremux.core.errors import TransformError
from wdsremux.core.records import Batch, Piece, Rejected, Task
from wdsremux.processing.engines.base import WorkerDiedError, WorkerOverdueError
from wdsremux.processing.engines.row_mark import RowMark
from wdsremux.processing.recovery import Recovery

ROWS = 32
SLOW = partial(WorkerOverdueError, "no progress for 9 s")
KILLED = partial(WorkerDiedError, "killed by SIGKILL (out of memory?)", is_killed=True)


class Workers:
    """Attempts whose workers die at certain rows, and say where."""

    def __init__(self, killers, death, batch_rows):
        self.killers, self.death, self.batch_rows = set(killers), death, batch_rows
        self.deaths = 0

    def __call__(self, task):
        known = dict(task.poison)
        rows = [
            row for piece in task.pieces for row in range(piece.first, piece.first + piece.rows)
        ]
        size = 1 if task.is_probe else self.batch_rows
        for at in range(0, len(rows), size):
            batch = rows[at : at + size]
            for row in batch:
                if row in self.killers and row not in known:
                    self.deaths += 1
                    raise self.death(row=row if size == 1 else None)
            out = tuple(Rejected(row, 0, "transform", known[row]) for row in batch if row in known)
            kept = [row for row in batch if row not in known]
            yield Batch(batch[0], len(batch), (packed_of([(1, 1)] * len(kept), kept),), out)


def recovered(workers):
    """Run the rows as an engine does; return the rejected rows."""
    task, last, found = Task((Piece(MemoryUnit(0, ROWS), 0, ROWS),)), None, []
    try:
        for last in workers(task):
            found += last.rejected
    except WorkerDiedError as death:
        rows = None if workers.batch_rows == 1 else workers.batch_rows
        for batch in Recovery(rows)(task, last, death, workers):
            found += batch.rejected
    return [item.position for item in found]


@pytest.mark.parametrize("killers", [[0], [7], [31], [3, 4], [2, 9, 20]])
def test_each_hanging_row_costs_its_limit_once(killers):
    workers = Workers(killers, SLOW, 1)
    assert recovered(workers) == killers
    assert workers.deaths == len(killers)


def test_a_hanging_row_in_a_batch_costs_the_limit_once_more():
    workers = Workers([12], SLOW, 8)
    assert recovered(workers) == [12]
    assert workers.deaths == 2


def test_a_row_that_crashes_must_kill_two_more_workers():
    workers = Workers([12], partial(WorkerDiedError, "killed by SIGSEGV"), 1)
    assert recovered(workers) == [12]
    assert workers.deaths == 3


@pytest.mark.parametrize("batch_rows", [1, 8])
def test_a_function_that_needs_too_much_memory_is_found_within_three_deaths(batch_rows):
    workers = Workers(range(5, ROWS), KILLED, batch_rows)
    with pytest.raises(
        TransformError, match=r"killed 3 worker .* \(at row 5 and row 6\), most lik"
    ):
        recovered(workers)
    assert workers.deaths == 3


@pytest.mark.parametrize("batch_rows", [1, 8])
def test_a_single_row_that_needs_too_much_memory_is_rejected(batch_rows):
    assert recovered(Workers([5], KILLED, batch_rows)) == [5]


def test_a_batch_that_needs_too_much_memory_together_is_named_as_such():
    class Together(Workers):
        def __call__(self, task):
            if not task.is_probe and len(task.pieces) and task.stop - task.first >= 8:
                self.deaths += 1
                raise KILLED(row=None)
            yield from super().__call__(task)

    workers = Together([], KILLED, 8)
    with pytest.raises(TransformError, match="lower --batch-memory or --batch-size"):
        recovered(workers)
    assert workers.deaths == 3


def test_the_mark_of_a_worker_is_seen_by_the_run():
    ours = RowMark()
    assert ours.row is None
    ours.set(2**40)
    assert ours.row == 2**40
    ours.set(None)
    assert ours.row is None
    ours.close()
