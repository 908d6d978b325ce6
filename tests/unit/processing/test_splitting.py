"""Rows divided into splits by a hash: exact shares, stable when rows are added, none lost."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.units import MemorySource

from wdsremux.core.errors import UsageError
from wdsremux.core.records import Record
from wdsremux.processing.splitting import (
    SOURCE_ROW,
    SplitRows,
    place_of_text,
    places_of_rows,
    ratio_from_text,
)
from wdsremux.processing.tasks import pieces, series_from_text

RATIO = ratio_from_text("train=0.8,val=0.15,test=0.05")


class LabelledUnit:
    """A unit whose rows have a key and one of three labels."""

    first, size_bytes, name = 0, 1000, "labelled"

    def __init__(self, rows):
        self.rows = rows

    def read(self, start, stop):
        for row in range(start, stop):
            label = 0 if row < 700 else 1 + row % 2
            yield Record(row, b"image", {"key": f"k{row}", "label": label})


def divided(units_of, rows, *, text="train", ratio=RATIO, **options):
    [series] = series_from_text(text, {"train": rows})
    return SplitRows(units_of, series, ratio, **options)


def rows_of(made, split, start=0):
    """Return the source rows of a split, in order."""
    series = next(rows for rows in made.series if rows.name == split)
    found = []
    for piece in pieces(made.units, series, 0, start):
        for record in piece.unit.read(piece.start, piece.stop):
            assert record.position == start + len(found)
            found.append(record.fields[SOURCE_ROW])
    return found


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4), start=st.integers(0, 50))
def test_every_row_is_in_one_split_in_source_order(sizes, start):
    source = MemorySource({"train": sizes})
    made = divided(source.units, sum(sizes))
    splits = {name: rows_of(made, name) for name in RATIO.names}
    assert sorted(chain.from_iterable(splits.values())) == list(range(sum(sizes)))
    for series in made.series:
        assert series.rows == len(splits[series.name])
        assert splits[series.name] == sorted(splits[series.name])
    if start < len(splits["train"]):
        assert rows_of(made, "train", start) == splits["train"][start:]


def test_rows_stay_in_their_split_when_others_are_added():
    before = divided(MemorySource({"train": [500]}).units, 500)
    after = divided(MemorySource({"train": [500, 300]}).units, 800)
    for name in RATIO.names:
        old = rows_of(before, name)
        assert rows_of(after, name)[: len(old)] == old


def test_the_shares_are_those_asked_for():
    counts = {s.name: s.rows for s in divided(MemorySource({"train": [1]}).units, 100_000).series}
    assert counts["val"] == pytest.approx(15_000, abs=450)  # 4 standard deviations
    assert counts["test"] == pytest.approx(5_000, abs=280)


def test_a_slice_is_divided():
    made = divided(MemorySource({"train": [100, 100]}).units, 200, text="train[50:150]")
    assert sorted(chain.from_iterable(rows_of(made, name) for name in RATIO.names)) == list(
        range(50, 150)
    )


def test_each_label_is_divided_by_the_ratio():
    made = divided(lambda _s, _f: iter([LabelledUnit(1000)]), 1000, label="label")
    for name, share in zip(RATIO.names, (0.8, 0.15, 0.05), strict=True):
        labels = Counter(0 if row < 700 else 1 + row % 2 for row in rows_of(made, name))
        for label, rows in ((0, 700), (1, 150), (2, 150)):
            assert abs(labels[label] - share * rows) <= 3
    assert sorted(chain.from_iterable(rows_of(made, name) for name in RATIO.names)) == list(
        range(1000)
    )


def test_a_key_decides_the_split_wherever_its_row_is():
    made = divided(lambda _s, _f: iter([LabelledUnit(300)]), 300, key="key")
    low, high = RATIO.bounds("val")
    expected = [row for row in range(300) if low <= place_of_text(f"k{row}") < high]
    assert rows_of(made, "val") == expected


def test_places_are_those_recorded():
    # They decide the splits of finished outputs and must never change.
    places = places_of_rows(np.arange(3, dtype="u8"))
    assert places.tolist() == pytest.approx([0.8833108, 0.5665616, 0.5911897], abs=1e-6)
    assert place_of_text("cat") == pytest.approx(0.1998270, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("train=0.9", "at least two"),
        ("train=0.9,train=0.1", "each once"),
        ("train=1,val=0", "above 0"),
        ("train=0.9,val=0.2", "add up to 1.1"),
        ("train:0.9,val:0.1", "write train=0.9,val=0.1"),
        ("a/b=0.9,val=0.1", "not valid"),
    ],
)
def test_other_ratios_are_refused(text, reason):
    with pytest.raises(UsageError, match=reason):
        ratio_from_text(text)
