"""Batches of a function end at --batch-size rows or --batch-memory bytes, whatever is read first."""

from dataclasses import dataclass, replace

import pytest
from PIL import Image
from support.pictures import saved

from wdsremux.core.columns import Columns
from wdsremux.core.records import Piece, Record, Task
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.recovery import rows_of
from wdsremux.processing.worker import Worker
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.function.spec import function_from_callable

CALLS = []
SIDES = (10, 10, 10, 40, 10, 10, 50, 10, 10, 10, 10, 10, 10, 20)
"""Sides of the images of all rows; a bound of 2,000 bytes holds six pictures of 10 × 10."""


def record_call(batch):
    CALLS.append([getattr(image, "width", 0) for image in batch["image"]])
    return batch


@dataclass(frozen=True)
class SquaresUnit:
    first: int = 0
    size_bytes: int = 1000
    name: str = "squares"
    rows: int = len(SIDES)

    def read(self, start, stop):
        for row in range(start, stop):
            side = SIDES[row]
            yield Record(self.first + row, saved(Image.new("RGB", (side, side)), "PNG"))


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


def batches(task, **options):
    columns = Columns("image", None, (), None, ())
    given = {"batch_size": 5, "batch_memory": 2_000} | options
    function = function_from_callable(record_call)
    codec = given.pop("codec", Codec())
    return list(Worker(WorkerJob(columns, codec, function=function, **given))(task))


def whole():
    unit = SquaresUnit()
    return Task((Piece(unit, 0, unit.rows),))


def test_a_call_ends_with_the_row_that_reaches_the_size():
    found = batches(whole())
    assert CALLS == [[10, 10, 10, 40], [10], [10, 50], [10, 10, 10], [10, 10, 10, 20]]
    assert [(batch.first, batch.rows) for batch in found] == [
        (0, 4),
        (4, 1),
        (5, 2),
        (7, 3),
        (10, 4),
    ]


def test_without_a_size_calls_end_at_the_number_of_rows():
    batches(whole(), batch_memory=None)
    assert [len(call) for call in CALLS] == [5, 5, 4]


def test_the_size_is_that_of_all_copies_also_where_one_is_made_alone():
    every = [(batch.first, batch.rows) for batch in batches(whole(), copies=3)]
    assert every != [(batch.first, batch.rows) for batch in batches(whole())]
    only = replace(whole(), copy=2)
    assert [(batch.first, batch.rows) for batch in batches(only, copies=3)] == every


@pytest.mark.parametrize("row", [4, 5, 7, 10])
def test_what_is_left_after_a_dead_worker_gets_the_same_calls(row):
    found = batches(whole())
    calls = dict(zip((batch.first for batch in found), list(CALLS), strict=True))
    CALLS.clear()
    batches(rows_of(whole(), row, len(SIDES)))
    assert [call for first, call in calls.items() if first >= row] == CALLS


def test_a_row_that_is_rejected_for_killing_a_worker_weighs_nothing():
    batches(replace(whole(), poison=((3, "it kills"),)))
    assert CALLS[0] == [10, 10, 10, 10]


def test_stored_bytes_weigh_their_length():
    batches(whole(), input="bytes", batch_memory=1, codec=Codec(format="png"))
    assert [len(call) for call in CALLS] == [1] * len(SIDES)


def test_a_probe_calls_the_function_with_each_row_alone():
    found = batches(replace(whole(), is_probe=True))
    assert [[side] for side in SIDES] == CALLS
    assert [(batch.first, batch.rows) for batch in found] == [(row, 1) for row in range(len(SIDES))]
