"""Which rows are taken: every row once, in order, from anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.units import MemorySource, planned, positions_of

from wdsremux.core.errors import SourceError, UsageError
from wdsremux.processing.tasks import (
    RowRange,
    SeriesRows,
    pieces,
    remarks_on_splits,
    series_from_text,
)

SPLITS = {"train": 1000, "validation": 100, "test": 7}
UNKNOWN = {"train": None, "validation": None}

unit_rows = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def ranges(text, splits=SPLITS):
    """Return [(split, start, stop)] of the only series of an expression."""
    [series] = series_from_text(text, splits)
    return [(r.split, r.start, r.stop) for r in series.ranges]


def refusal(text, splits=SPLITS):
    with pytest.raises(UsageError) as caught:
        series_from_text(text, splits)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("train", [("train", 0, 1000)]),
        (" train ", [("train", 0, 1000)]),
        ("train[:]", [("train", 0, 1000)]),
        ("train[1000:2000]", None),
        ("train[100:200]", [("train", 100, 200)]),
        ("train[100:]", [("train", 100, 1000)]),
        ("train[:5000]", [("train", 0, 1000)]),
        ("train[-10:]", [("train", 990, 1000)]),
        ("train[:-10]", [("train", 0, 990)]),
        ("train[:10%]", [("train", 0, 100)]),
        ("train[10%:20%]", [("train", 100, 200)]),
        ("train[-10%:]", [("train", 900, 1000)]),
        ("test[:50%]", [("test", 0, 4)]),
        ("train+validation", [("train", 0, 1000), ("validation", 0, 100)]),
        ("train[:10] + train[20:30]", [("train", 0, 10), ("train", 20, 30)]),
    ],
)
def test_a_split_expression_names_rows(text, found):
    if found is None:
        assert "selects no rows: 'train' has 1000 rows" in refusal(text)
    else:
        assert ranges(text) == found


@pytest.mark.parametrize("percent", range(0, 101, 7))
def test_shares_that_meet_leave_no_row_out_and_take_none_twice(percent):
    for rows in (7, 99, 1001):
        splits = {"train": rows}
        parts = []
        for text in (f"train[:{percent}%]", f"train[{percent}%:]"):
            try:
                [(_, start, stop)] = ranges(text, splits)
            except UsageError:
                continue  # a share of nothing is refused
            parts += range(start, stop)
        assert parts == list(range(rows))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("train", "train"),
        ("train[:10%]", "train"),
        ("train+validation", "train_validation"),
        ("train[:10]+train[20:30]", "train"),
    ],
)
def test_a_series_is_named_after_its_splits(text, name):
    [series] = series_from_text(text, SPLITS)
    assert series.name == name


def test_all_is_every_split_with_a_series_of_its_own_in_source_order():
    found = series_from_text("all", SPLITS)
    assert [(series.name, series.rows) for series in found] == list(SPLITS.items())


def test_rows_are_counted_where_every_length_is_known():
    assert SeriesRows("a", (RowRange("a", 5, 10), RowRange("b", 0, 3))).rows == 8
    assert SeriesRows("a", (RowRange("a", 5, 10), RowRange("b"))).rows is None


def test_a_missing_split_is_refused_with_the_existing_ones():
    assert "--split 'dev': not a split of the source; it has train, validation, test" in refusal(
        "dev"
    )
    assert "--split 'trian': not a split of the source; did you mean train?" in refusal("trian")
    assert "--split 'dev'" in refusal("train+dev[:10]")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "train+",
        "train[",
        "train[]",
        "train[5]",
        "train[a:b]",
        "train[1:2:3]",
        "train[1.5:]",
    ],
)
def test_an_invalid_split_expression_is_refused(text):
    assert "--split" in refusal(text)


@pytest.mark.parametrize(
    "text", ["train[5:5]", "train[10:5]", "train[:0]", "train[:0%]", "test[7:]"]
)
def test_a_slice_without_rows_is_refused(text):
    assert "selects no rows" in refusal(text)


def test_rows_of_a_split_of_unknown_length_are_named_by_numbers():
    assert ranges("train", UNKNOWN) == [("train", 0, None)]
    assert ranges("train[10:]", UNKNOWN) == [("train", 10, None)]
    assert ranges("train[10:20]", UNKNOWN) == [("train", 10, 20)]


@pytest.mark.parametrize("text", ["train[:10%]", "train[-10:]", "train[:-10]", "train[50%:]"])
def test_shares_of_a_split_of_unknown_length_are_refused(text):
    assert "number of rows of this source is unknown" in refusal(text, UNKNOWN)


def test_a_slice_without_rows_of_a_split_of_unknown_length_is_refused():
    text = refusal("train[20:10]", UNKNOWN)
    assert "selects no rows" in text
    assert "None" not in text


@given(unit_rows, st.data())
def test_pieces_are_the_rows_of_a_range_in_order(sizes, data):
    rows = sum(sizes)
    low = data.draw(st.integers(0, rows - 1))
    high = data.draw(st.integers(low + 1, rows))
    found = planned(MemorySource({"train": sizes}), f"train[{low}:{high}]", base=low)
    assert positions_of(found) == list(range(low, high))
    assert all(0 <= piece.start < piece.stop <= piece.unit.rows for piece in found)


@given(unit_rows, st.data())
def test_pieces_from_any_start_are_the_tail_of_all_pieces(sizes, data):
    source = MemorySource({"train": sizes, "test": [5, 5]})
    whole = positions_of(planned(source, "train+test"))
    start = data.draw(st.integers(0, len(whole)))
    assert positions_of(planned(source, "train+test", start=start)) == whole[start:]


@given(unit_rows, st.data())
def test_a_limit_cuts_the_rows_off_at_its_position(sizes, data):
    source = MemorySource({"train": sizes, "test": [5, 5]})
    whole = positions_of(planned(source, "train+test"))
    limit = data.draw(st.integers(1, len(whole) + 5))
    assert positions_of(planned(source, "train+test", limit=limit)) == whole[:limit]


def test_positions_continue_from_range_to_range():
    source = MemorySource({"train": [10, 10], "test": [4]})
    found = planned(source, "train[5:15]+test[1:]+train[:2]", base=5)
    rows = [(piece.unit.split, row) for piece in found for row in range(piece.start, piece.stop)]
    assert rows == [
        *(("train", row) for row in range(5, 10)),
        *(("train", row) for row in range(5)),
        *(("test", row) for row in range(1, 4)),
        *(("train", row) for row in range(2)),
    ]
    assert positions_of(found) == list(range(5, 20))


def test_a_series_begins_at_its_base():
    source = MemorySource({"train": [10, 10]})
    found = planned(source, "train", base=1000)
    assert positions_of(found) == list(range(1000, 1020))


def test_units_before_the_start_are_not_requested():
    source = MemorySource({"train": [10] * 10})
    planned(source, "train", start=95)
    assert source.asked == [("train", 95)]


@given(unit_rows, st.data())
def test_ranges_of_unknown_length_are_walked_to_their_ends(sizes, data):
    source = MemorySource({"train": sizes, "validation": [3, 4]})
    [series] = series_from_text("train+validation", UNKNOWN)
    rows = sum(sizes) + 7
    start = data.draw(st.integers(0, rows))
    found = list(pieces(source.units, series, 0, start))
    assert positions_of(found) == list(range(start, rows))
    assert all(piece.rows > 0 for piece in found)


@given(unit_rows, st.integers(1, 600), st.data())
def test_a_slice_that_ends_after_an_unknown_end_leaves_no_hole(sizes, stop, data):
    source = MemorySource({"train": sizes, "validation": [3, 4]})
    [series] = series_from_text(f"train[:{stop}]+validation", UNKNOWN)
    rows = min(sum(sizes), stop) + 7
    start = data.draw(st.integers(0, rows))
    found = list(pieces(source.units, series, 0, start))
    assert positions_of(found) == list(range(start, rows))


@pytest.mark.parametrize("name", ["../evil", "/abs/evil", "a/b", ".hidden", "", "-x", "näme"])
def test_a_split_of_a_source_never_becomes_a_path(name):
    with pytest.raises(SourceError, match="cannot be part of a file name"):
        series_from_text("all", {name: 3})


def test_splits_left_out_by_default_are_named():
    assert remarks_on_splits("train", SPLITS) == (
        "splits left out: validation (100 rows), test (7 rows); --split all converts every split",
    )
    assert remarks_on_splits("train", UNKNOWN) == (
        "split left out: validation; --split all converts every split",
    )


def test_chosen_or_single_splits_cause_no_note():
    for text in ("all", "validation", "train[:10%]", "train+test"):
        assert remarks_on_splits(text, SPLITS) == ()
    assert remarks_on_splits("train", {"train": 10}) == ()
