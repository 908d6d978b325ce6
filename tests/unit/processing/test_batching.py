"""How rows are cut into tasks: in whole batches, whatever the units and wherever it begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.units import MemorySource, MemoryUnit, planned, positions_of

from wdsremux.core.records import Piece
from wdsremux.processing import tasks as planning
from wdsremux.processing.tasks import tasks

unit_rows = st.lists(st.integers(1, 40), min_size=1, max_size=12)
plans = st.fixed_dictionaries(
    {
        "sizes": unit_rows,
        "batch_rows": st.sampled_from([1, 2, 3, 7, 16, 50]),
        "bytes_per_row": st.sampled_from([1, 1000]),
    }
)


def tasks_of(plan, start=0):
    """Return the tasks of a plan from a batch's first row on."""
    source = MemorySource({"train": plan["sizes"]}, bytes_per_row=plan["bytes_per_row"])
    return list(tasks(iter(planned(source, "train", start=start)), plan["batch_rows"], 3))


def batches_of(found, batch_rows):
    """Return the rows of every batch that workers make of tasks."""
    batches = []
    for task in found:
        rows = positions_of(task.pieces)
        batches += [rows[i : i + batch_rows] for i in range(0, len(rows), batch_rows)]
    return batches


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch):
    """Make tasks so small that a few rows fill several."""
    monkeypatch.setattr(planning, "TASK_ROWS", 20)
    monkeypatch.setattr(planning, "TASK_BYTES", 15_000)


@given(plans)
def test_tasks_hold_every_row_once_and_in_order(plan):
    found = tasks_of(plan)
    assert positions_of([piece for task in found for piece in task.pieces]) == list(
        range(sum(plan["sizes"]))
    )
    assert {task.series for task in found} == {3}
    for task in found:
        rows = positions_of(task.pieces)
        assert (task.first, task.stop) == (rows[0], rows[-1] + 1)


@given(plans)
def test_tasks_begin_where_batches_begin(plan):
    assert all(task.first % plan["batch_rows"] == 0 for task in tasks_of(plan))


@given(plans, st.data())
def test_tasks_from_any_batch_on_make_the_same_batches(plan, data):
    batch_rows, rows = plan["batch_rows"], sum(plan["sizes"])
    whole = batches_of(tasks_of(plan), batch_rows)
    number = data.draw(st.integers(0, rows // batch_rows))
    rest = batches_of(tasks_of(plan, number * batch_rows), batch_rows)
    assert rest == whole[number:]


@given(plans)
def test_a_task_is_closed_as_soon_as_it_is_full(plan):
    # It may grow by a piece, which is never cut but for a batch, and by the rest of that batch.
    largest = 20 + max(plan["sizes"]) + plan["batch_rows"]
    assert all(task.stop - task.first < largest for task in tasks_of(plan))


@given(plans)
def test_a_unit_is_read_by_one_task_but_for_the_head_that_completes_a_batch(plan):
    seen = {}
    for number, task in enumerate(tasks_of(plan)):
        for piece in task.pieces:
            seen.setdefault(piece.unit.first, []).append((number, piece.rows))
    for parts in seen.values():
        assert all(rows < plan["batch_rows"] for _, rows in parts[:-1])


def test_a_task_is_closed_by_its_bytes_too():
    found = [Piece(MemoryUnit(i, 1, 8_000), 0, 1) for i in range(4)]
    assert [task.stop - task.first for task in tasks(iter(found), 1, 0)] == [2, 2]


def test_without_pieces_there_are_no_tasks():
    assert list(tasks(iter([]), 16, 0)) == []
