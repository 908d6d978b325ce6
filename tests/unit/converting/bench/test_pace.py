"""Marks of workers, and the pace that follows from them."""

from itertools import pairwise

import pytest
from support.corpora import write_parquet_dataset

from wdsremux.converting.bench.pace import (
    FIRST_ROWS,
    LoadingWorker,
    Mark,
    MarkingWorker,
    Tally,
    steady,
)
from wdsremux.core.errors import SourceError
from wdsremux.core.recipe import Recipe, Run
from wdsremux.processing.opening import open_conversion

A, B = (1, 1), (2, 1)


class Clock:
    """A clock that advances by a step whenever it is read."""

    def __init__(self, step=0.0):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def marks_of(worker, *ends, rows=10):
    """Return the marks of a worker that begins at the first of the times."""
    return [Mark(worker, began, ended, rows) for began, ended in pairwise(ends)]


@pytest.fixture(scope="module")
def conversion(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    corpus = write_parquet_dataset(folder, rows=71, files=1, row_group_size=71)
    return open_conversion(str(corpus.folder), folder / "out", Recipe(), Run(workers=0), None)


def tasks_of(conversion):
    return conversion.tasks(0, 0, 0, None)


def test_the_first_batch_of_each_worker_is_excluded_from_rates():
    # Both do 10 rows a second; their first batches took 5 s and 8 s.
    marks = marks_of(A, 0, 5, 6, 7, 8, 9, 10) + marks_of(B, 0, 8, 9, 10)
    assert steady(marks) == (40, 2)


def test_a_worker_that_has_ended_does_not_count_as_waiting():
    marks = marks_of(A, 0, 1, 2, 3) + marks_of(B, 0, 1, 2, 3, 4, 5)
    assert steady(marks) == (40, 2)


def test_a_batch_on_the_border_counts_in_proportion():
    # From 1 to 3, B does a half and the whole of a batch, A two.
    marks = marks_of(A, 0, 1, 2, 3) + marks_of(B, -0.5, 0.5, 1.5, 2.5, 3.5)
    assert steady(marks) == (40, 2)


def test_without_a_time_for_all_the_whole_counts():
    assert steady(marks_of(A, 5, 7)) == (10, 2)
    assert steady(marks_of(A, 5, 7) + marks_of(B, 5, 9)) == (20, 4)


def test_a_worker_marks_all_rows_once_and_looks_at_the_time_early(conversion):
    worker = MarkingWorker(conversion.job, clock=Clock(1.0))
    marks = [batch.mark for task in tasks_of(conversion) for batch in worker(task)]
    assert sum(mark.rows for mark in marks) == 71
    # At one batch a second no batch can be small enough; the last has taken the rest along.
    assert [mark.rows for mark in marks] == [FIRST_ROWS] * 16 + [71 - 16 * FIRST_ROWS]


def test_batches_grow_with_the_pace(conversion):
    worker = MarkingWorker(conversion.job, clock=Clock(0.01))
    marks = [batch.mark for task in tasks_of(conversion) for batch in worker(task)]
    assert [mark.rows for mark in marks] == [FIRST_ROWS, 67]


@pytest.mark.parametrize("kind", [MarkingWorker, LoadingWorker])
def test_a_worker_ends_in_time_counted_from_its_first_batch(conversion, kind):
    clock = Clock()
    worker = kind(conversion.job, 2.0, clock)
    (task,) = tasks_of(conversion)
    batches = worker(task)
    clock.now = 100.0
    next(batches)
    clock.now = 101.0
    assert next(batches).rows > 0
    clock.now = 102.0
    assert [*batches, *worker(task)] == []


def test_the_start_time_of_workers_is_reported_separately(conversion):
    clock = Clock()
    tally = Tally(clock)
    clock.now = 7.0
    worker = MarkingWorker(conversion.job, clock=clock)
    (task,) = tasks_of(conversion)
    for batch in worker(task):
        clock.now += 1.0
        tally.add(batch)
    found = tally.pace()
    assert found.start_s == 7.0
    assert (found.rows, found.samples) == (71, 71)
    assert found.to_json()["start_seconds"] == 7.0


def test_a_tally_lasts_from_the_first_batch_on(conversion):
    clock = Clock()
    tally = Tally(clock)
    clock.now = 50.0
    assert not tally.has_lasted(0)
    (task,) = tasks_of(conversion)
    tally.add(next(MarkingWorker(conversion.job)(task)))
    assert not tally.has_lasted(2)
    clock.now = 52.0
    assert tally.has_lasted(2)


def test_without_rows_the_rate_is_zero():
    with pytest.raises(SourceError, match="no rows"):
        Tally().pace()
