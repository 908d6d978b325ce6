"""Tasks of a conversion: in order, from the beginning of their batch, and never over a break."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.units import MemorySource

from wdsremux.processing.plan import Conversion
from wdsremux.processing.tasks import series_from_text


def conversion(splits, *, breaks=(), batch_rows=1):
    source = MemorySource(splits)
    counts = {name: source.rows(name) for name in splits}
    others = dict.fromkeys(
        ("head", "engine", "engine_name", "workers", "store", "bounds", "allow_oversize",
         "max_errors", "fails_at_once")
    )  # fmt: skip
    job = SimpleNamespace(batches_rows=batch_rows > 1, batch_size=batch_rows)
    return Conversion(
        units=source.units,
        series=series_from_text("all", counts),
        limit=None,
        job=SimpleNamespace(chains=(job,)),
        breaks=breaks,
        **others,
    )


def batches_of(tasks, batch_rows):
    """Return the positions that a batch function would see together."""
    found = []
    for task in tasks:
        rows = [piece.first + i for piece in task.pieces for i in range(piece.rows)]
        found += [rows[i : i + batch_rows] for i in range(0, len(rows), batch_rows)]
    return found


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    breaks=st.sets(st.integers(1, 1200), max_size=3),
    batch_rows=st.integers(1, 70),
    data=st.data(),
)
def test_a_resumed_run_has_the_batches_of_an_uninterrupted_one(sizes, breaks, batch_rows, data):
    breaks = tuple(sorted(breaks))
    made = conversion({"train": sizes}, breaks=breaks, batch_rows=batch_rows)
    whole = batches_of(made.tasks(0, 0, 0, None), batch_rows)
    assert [row for batch in whole for row in batch] == list(range(sum(sizes)))
    inside = {row for row in breaks if row < sum(sizes)}
    assert inside <= {batch[0] for batch in whole}
    start = data.draw(st.integers(0, sum(sizes) - 1))
    rest = batches_of(made.tasks(0, 0, start, None), batch_rows)
    assert rest == [batch for batch in whole if batch[-1] >= start]


@given(
    breaks=st.sets(st.integers(1, 200), max_size=3),
    batch_rows=st.integers(1, 40),
    row=st.integers(1, 200),
)
def test_the_end_of_a_batch_is_that_of_the_tasks(breaks, batch_rows, row):
    made = conversion({"train": [200]}, breaks=tuple(sorted(breaks)), batch_rows=batch_rows)
    batches = batches_of(made.tasks(0, 0, 0, None), batch_rows)
    [batch] = [batch for batch in batches if batch[0] < row <= batch[-1] + 1]
    assert min(made.batch_end(0, 0, row), 200) == batch[-1] + 1


@pytest.mark.parametrize("at", [5, 30, 35])
def test_a_break_counts_over_all_series(at):
    made = conversion({"a": [30], "b": [30]}, breaks=(at,), batch_rows=7)
    first = batches_of(made.tasks(0, 0, 0, None), 7)
    second = batches_of(made.tasks(1, 30, 30, None), 7)
    assert [row for batch in first + second for row in batch] == list(range(60))
    assert at in {batch[0] for batch in first + second}
    assert 30 in {batch[0] for batch in second}


def test_a_limit_ends_the_tasks_before_a_break():
    made = conversion({"train": [50]}, breaks=(30,), batch_rows=8)
    assert batches_of(made.tasks(0, 0, 0, 20), 8)[-1] == [16, 17, 18, 19]
