"""Without a shard size of the user's, a split has at least 16 shards, of equal numbers of rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.processing.shard_rows import default_shard_rows, rows_of_a_shard
from wdsremux.processing.tasks import series_from_text


@given(st.integers(1, 10**9))
def test_any_number_of_rows_is_divided_into_sixteen_shards_and_hardly_more(rows):
    each = rows_of_a_shard(rows)
    shards = -(-rows // each)
    assert shards >= min(16, rows)
    assert shards == 16 or rows <= 240


@pytest.mark.parametrize(("rows", "each"), [(1, 1), (16, 1), (20, 1), (270, 17), (60_000, 3750)])
def test_the_rows_of_a_shard(rows, each):
    assert rows_of_a_shard(rows) == each


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        (None, {"train": 63, "test": 25}),
        (1200, {"train": 63, "test": 13}),
        (160, {"train": 10}),
    ],
)
def test_a_limit_counts_from_the_first_split(limit, found):
    series = series_from_text("all", {"train": 1000, "test": 400})
    assert default_shard_rows(series, limit) == found


def test_a_split_of_unknown_length_has_no_such_rule():
    series = series_from_text("all", {"train": None, "test": 400})
    assert default_shard_rows(series, None) == {"test": 25}
    assert default_shard_rows(series, 100) == {}
