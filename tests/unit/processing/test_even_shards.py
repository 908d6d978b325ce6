"""Shards of known rows, and how lanes divide them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.errors import UsageError
from wdsremux.core.recipe import Recipe
from wdsremux.processing.even_shards import Lane, borders_of, lane_from_text
from wdsremux.processing.tasks import series_from_text


def borders(splits, first=0, size_bytes=None, **options):
    series = series_from_text("all", splits)
    return borders_of(series, first, Recipe(**options), size_bytes)


@given(rows=st.integers(1, 10_000), shards=st.integers(1, 200), first=st.integers(0, 10**9))
def test_shards_cover_all_rows_and_differ_by_at_most_one(rows, shards, first):
    if shards > rows:
        with pytest.raises(UsageError, match=f"split 'train' has only {rows} rows"):
            borders({"train": rows}, first, shards=shards)
        return
    (found,) = borders({"train": rows}, first, shards=shards)
    sizes = {stop - start for start, stop in pairwise(found)}
    assert (found[0], found[-1], len(found)) == (first, first + rows, shards + 1)
    assert max(sizes) - min(sizes) <= 1


@given(shards=st.integers(0, 300), lanes=st.integers(1, 40))
def test_every_shard_belongs_to_one_lane(shards, lanes):
    parts = [Lane(number, lanes).shards(shards) for number in range(lanes)]
    assert [i for start, stop in parts for i in range(start, stop)] == list(range(shards))


def test_splits_follow_one_another_and_limit_counts_over_all():
    found = borders({"train": 10, "val": 4}, shards=2, limit=12)
    assert found == ((0, 5, 10), (10, 11, 12))


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(None, 3), (1_000_000, 3), (3_000_000_000, 12)],
)
def test_lanes_have_shards_that_are_likely_to_fit(size_bytes, expected):
    (found,) = borders({"train": 5000}, size_bytes=size_bytes, lanes=3)
    assert len(found) - 1 == expected


def test_a_small_split_has_fewer_shards_than_lanes():
    train, val = borders({"train": 100, "val": 2}, lanes=4)
    assert (len(train) - 1, len(val) - 1) == (4, 2)


@given(st.integers(1, 60), st.integers(60, 10**6), st.integers(0, 10**12))
def test_a_multiple_is_at_least_sixteen_and_suits_the_size_of_the_source(multiple, rows, size):
    (found,) = borders({"train": rows}, size_bytes=size, shards_multiple_of=multiple)
    shards = len(found) - 1
    sizes = {stop - start for start, stop in pairwise(found)}
    assert shards % multiple == 0
    assert max(sizes) - min(sizes) <= 1
    assert shards + multiple > rows or shards >= max(16, size / 512e6)


def test_without_the_options_sizes_decide():
    assert borders({"train": None}) == ()


@pytest.mark.parametrize(
    ("splits", "options", "reason"),
    [
        ({"train": None}, {"shards": 2}, "--shards needs the number of rows"),
        ({"train": None}, {"lanes": 2}, "--lanes needs the number of rows"),
        ({"train": 9}, {"shards": 2, "break_at": (3,)}, "--break-at cannot be combined"),
        ({"train": 9}, {"lanes": 2, "key_column": "id"}, "no process sees all keys"),
        ({"train": 9}, {"shards": 2, "lanes": 3}, "less than --lanes 3"),
        ({"train": 9}, {"shards": 2, "max_shard_samples": 3}, "use --shards 3"),
        ({"train": 9}, {"shards": 2, "shards_multiple_of": 2}, "leave one of them out"),
        ({"train": 9}, {"shards_multiple_of": 10}, "'train' has only 9 rows"),
        ({"train": 9}, {"shards_multiple_of": 4, "max_shard_samples": 1}, "has too few rows"),
        ({"train": None}, {"shards_multiple_of": 2}, "--shards-multiple-of needs the number"),
    ],
)
def test_what_does_not_fit_is_refused(splits, options, reason):
    with pytest.raises(UsageError, match=reason):
        borders(splits, **options)


@pytest.mark.parametrize("text", ["3", "3/3", "-1/3", "a/b", "0/0"])
def test_other_lanes_are_refused(text):
    with pytest.raises(UsageError, match="write I/N"):
        lane_from_text(text)
