"""Finding the record that kills its worker, with workers that only pretend to die."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import packed_of
from support.units import MemoryUnit

from wdsremux.core.errors import TransformError
from wdsremux.core.records import Batch, Piece, Rejected, Task
from wdsremux.processing import recovery as poison
from wdsremux.processing.engines.base import WorkerDiedError, WorkerOverdueError
from wdsremux.processing.recovery import Recovery, rows_of
from wdsremux.processing.worker import CHUNK_ROWS

DEATH = WorkerDiedError("killed by SIGSEGV")


def task_of(sizes, first=0):
    """Return a task of whole units of the given rows."""
    units = []
    for rows in sizes:
        units.append(MemoryUnit(first, rows))
        first += rows
    return Task(tuple(Piece(unit, 0, unit.rows) for unit in units), series=2)


class Workers:
    """Attempts in fresh workers: they die on killers that the task does not name as poison."""

    def __init__(
        self, killers=(), batch_rows=CHUNK_ROWS, *, deaths=0, kills_together=(), kills_in_reading=()
    ):
        self.killers = set(killers)
        self.batch_rows = batch_rows
        self.deaths_left = deaths
        """Attempts that die whatever they are given."""
        self.kills_together = set(kills_together)
        """Positions that kill only in one batch."""
        self.kills_in_reading = set(kills_in_reading)
        """Positions that kill even when the task names them as poison."""
        self.attempts = self.deaths = 0

    def __call__(self, task):
        self.attempts += 1
        try:
            yield from self.work(task)
        except WorkerDiedError:
            self.deaths += 1
            raise

    def work(self, task):
        if self.deaths_left:
            self.deaths_left -= 1
            raise WorkerDiedError("killed by SIGKILL")
        masked = dict(task.poison)
        rows = [piece.first + i for piece in task.pieces for i in range(piece.rows)]
        batch_rows = 1 if task.is_probe else self.batch_rows
        for at in range(0, len(rows), batch_rows):
            batch = rows[at : at + batch_rows]
            if (self.killers - masked.keys() | self.kills_in_reading) & set(batch):
                raise WorkerDiedError("killed by SIGSEGV")
            if self.kills_together and self.kills_together <= set(batch):
                raise WorkerDiedError("killed by SIGABRT")
            if task.is_probe:
                yield Batch(batch[0], 1, (), series=task.series)
            else:
                yield batch_of(batch, masked, task.series)


def batch_of(rows, masked, series=0):
    kept = [row for row in rows if row not in masked]
    out = [Rejected(row, 0, "transform", masked[row]) for row in rows if row in masked]
    packed = packed_of([(1, 1)] * len(kept), kept)
    return Batch(rows[0], len(rows), (packed,), tuple(out), series)


def recovered(workers, task, last=None, *, batch_rows=None):
    """Return (rows of each batch, rejected rows with their reasons) after a death."""
    batches = list(Recovery(batch_rows)(task, last, DEATH, workers))
    rows = [list(range(batch.first, batch.first + batch.rows)) for batch in batches]
    return rows, {item.position: item.reason for batch in batches for item in batch.rejected}


@pytest.mark.parametrize("killer", [0, 1, 127, 128, 254, 255])
def test_the_record_that_kills_is_rejected_at_any_position(killer):
    rows, rejected = recovered(Workers([killer]), task_of([256]))
    assert rows == [list(range(256))]
    assert rejected == {killer: "the worker died on this record: killed by SIGSEGV"}


def test_a_single_row_that_kills_is_found():
    rows, rejected = recovered(Workers([7]), task_of([1], first=7))
    assert rows == [[7]]
    assert list(rejected) == [7]


@pytest.mark.parametrize("killers", [(3, 4), (0, 15), (0, 1), (14, 15), (5, 6, 7)])
def test_several_killers_in_one_batch_are_all_found(killers):
    rows, rejected = recovered(Workers(killers, 16), task_of([16]), batch_rows=16)
    assert rows == [list(range(16))]
    assert tuple(rejected) == killers


def test_killers_in_different_batches_are_all_found():
    rows, rejected = recovered(Workers([2, 9, 15], 4), task_of([10, 10]), batch_rows=4)
    assert rows == [list(range(at, at + 4)) for at in range(0, 20, 4)]
    assert list(rejected) == [2, 9, 15]


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    batch_rows=st.integers(1, 9),
    data=st.data(),
)
def test_every_row_comes_once_in_its_batch_and_only_killers_are_rejected(sizes, batch_rows, data):
    task = task_of(sizes, first=100)
    positions = range(100, 100 + sum(sizes))
    killers = data.draw(st.sets(st.sampled_from(positions), max_size=5))
    batches = [list(positions[i : i + batch_rows]) for i in range(0, len(positions), batch_rows)]
    delivered = data.draw(st.integers(0, len(batches) - 1))
    last = batch_of(batches[delivered - 1], {}) if delivered else None
    workers = Workers(killers, batch_rows)
    rows, rejected = recovered(workers, task, last, batch_rows=batch_rows)
    assert rows == batches[delivered:]
    assert set(rejected) == {row for batch in batches[delivered:] for row in batch} & killers


def test_batches_that_were_delivered_do_not_come_again():
    last = batch_of(list(range(4, 8)), {})
    rows, _ = recovered(Workers([9], 4), task_of([16]), last, batch_rows=4)
    assert rows == [[8, 9, 10, 11], [12, 13, 14, 15]]


def test_a_task_whose_batches_were_delivered_is_complete():
    workers = Workers()
    assert recovered(workers, task_of([8]), batch_of(list(range(8)), {})) == ([], {})
    assert workers.attempts == 0


@pytest.mark.parametrize("deaths", [0, 1, 2])
def test_a_death_that_does_not_repeat_rejects_nothing(deaths):
    rows, rejected = recovered(Workers(batch_rows=16, deaths=deaths), task_of([16]), batch_rows=16)
    assert rows == [list(range(16))]
    assert rejected == {}


def test_the_reason_describes_only_the_death():
    # The patience with a whole batch depends on its rows, and what a worker died of on its neighbours.
    recovery = Recovery(16)
    slow = WorkerDiedError("no progress for 1920 s")
    [batch] = recovery(task_of([16]), None, slow, Workers([3], 16))
    assert batch.rejected[0].reason == "the worker died on this record: killed by SIGSEGV"


def test_known_poison_is_kept():
    task = Task(task_of([16]).pieces, 2, poison=((1, "known before"),))
    _, rejected = recovered(Workers([1, 5], 16), task, batch_rows=16)
    assert rejected == {
        1: "known before",
        5: "the worker died on this record: killed by SIGSEGV",
    }


def test_the_series_of_the_task_is_kept():
    batches = Recovery(8)(task_of([16]), None, DEATH, Workers([3], 8))
    assert {batch.series for batch in batches} == {2}


def test_deaths_without_a_guilty_record_end_in_an_error_that_names_the_rows():
    workers = Workers(batch_rows=16, kills_together=(20, 27))
    with pytest.raises(TransformError) as caught:
        recovered(workers, task_of([48]), batch_rows=16)
    text = str(caught.value)
    assert text.startswith(
        "workers crash on rows 16 to 47 (killed by SIGABRT), but on none of them"
    )
    assert "fewer --workers" in text


def test_a_death_that_continues_without_its_record_ends_in_an_error():
    workers = Workers(batch_rows=16, kills_in_reading=[5])
    with pytest.raises(TransformError, match="workers crash on rows 0 to 15"):
        recovered(workers, task_of([16]), batch_rows=16)
    assert workers.attempts <= (poison.MAX_IDLE_ROUNDS + 2) * 10


class SlowWorkers(Workers):
    """Workers that are killed for the time they take."""

    def work(self, task):
        try:
            yield from super().work(task)
        except WorkerDiedError as exc:
            raise WorkerOverdueError("no progress for 1 s") from exc


@pytest.mark.parametrize(
    ("workers", "arguments"),
    [
        (
            SlowWorkers(range(100), 48),
            r"every row from row 0 exceeds --record-timeout ",
        ),
        (SlowWorkers(batch_rows=16, kills_together=(3, 9)), "alone; raise --record-timeout"),
    ],
)
def test_a_too_short_record_timeout_is_named_as_the_cause(workers, arguments):
    with pytest.raises(TransformError, match=arguments) as caught:
        [
            *Recovery(workers.batch_rows)(
                task_of([48]), None, WorkerOverdueError("no progress for 1 s"), workers
            )
        ]
    assert "(no progress for 1 s)" in str(caught.value)
    assert "memory" not in str(caught.value)
    assert "die on row after row" not in str(caught.value)


def test_results_before_unexplained_deaths_are_delivered():
    workers = Workers(batch_rows=16, kills_together=(20, 27))
    batches = Recovery(16)(task_of([48]), None, DEATH, workers)
    assert next(batches).first == 0
    with pytest.raises(TransformError):
        next(batches)


def test_workers_that_die_on_everything_end_in_an_error_in_bounded_time():
    workers = Workers(range(10_000))
    with pytest.raises(TransformError, match="workers keep crashing from row"):
        recovered(workers, task_of([256] * 4))
    assert workers.attempts <= (poison.MAX_KILLERS + 1) * 10


@pytest.mark.parametrize("killer", [0, 1, 127, 128, 254, 255])
def test_three_deaths_find_a_killer_at_any_position(killer):
    workers = Workers([killer])
    recovered(workers, task_of([256]))
    assert workers.deaths == 1 + poison.TRIALS


def test_workers_that_always_die_end_in_bounded_time():
    def attempt(task):
        attempts.append(task)
        rows = [piece.first + i for piece in task.pieces for i in range(piece.rows)]
        if task.is_probe:
            yield from (Batch(row, 1, (), series=task.series) for row in rows[:2])
        if len(rows) > 1:
            raise WorkerDiedError("killed by SIGKILL")

    attempts = []
    with pytest.raises(TransformError, match="but on none of them alone"):
        list(Recovery(256)(task_of([256]), None, DEATH, attempt))
    rounds = poison.MAX_IDLE_ROUNDS + 1
    assert len(attempts) <= rounds * (rounds * (1 + poison.TRIALS) + 1)


def test_an_error_of_the_work_is_not_taken_for_a_death():
    def attempt(_task):
        raise TransformError("the function returned 3 rows for 16")
        yield

    with pytest.raises(TransformError, match="returned 3 rows"):
        recovered(attempt, task_of([16]))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.data())
def test_the_part_of_a_task_between_two_positions_has_just_those_rows(sizes, data):
    task = task_of(sizes, first=50)
    low = data.draw(st.integers(45, task.stop + 5))
    high = data.draw(st.integers(low, task.stop + 5))
    part = rows_of(task, low, high)
    rows = [piece.first + i for piece in part.pieces for i in range(piece.rows)]
    assert rows == list(range(max(low, 50), min(high, task.stop)))
    assert part.series == task.series
    assert all(piece.rows > 0 for piece in part.pieces)
