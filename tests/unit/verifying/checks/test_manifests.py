from dataclasses import replace

import pytest

from wdsremux.core.manifest import ShardSummary
from wdsremux.verifying.checks.manifests import check_series
from wdsremux.verifying.reports import Collector


def series(split="train", copy=0, shards=3, first=0):
    """Return the shards of a split: ten rows each."""
    return [
        ShardSummary(
            name=f"{split}-{number:06d}.tar",
            split=split,
            copy=copy,
            number=number,
            samples=10,
            rejected=0,
            size_bytes=10240,
            sha256="0" * 64,
            first_position=first + 10 * number,
            last_position=first + 10 * number + 9,
            start=first + 10 * number,
            stop=first + 10 * number + 10,
            is_last=number == shards - 1,
        )
        for number in range(shards)
    ]


def problems(shards, *, is_finished=True):
    found = Collector()
    check_series(shards, found, is_finished=is_finished)
    assert all(finding.code.code == "W105" for finding in found.findings())
    return [(finding.shard, finding.detail) for finding in found.findings()]


def test_series_without_a_gap_are_clean_in_any_order():
    shards = [*series(), *series("test", first=30), *series(copy=1)]
    assert problems(shards) == []
    assert problems(shards[::-1]) == []


@pytest.mark.parametrize(
    ("place", "change", "detail"),
    [
        (1, {"start": 11}, "it begins at row 11, but the one before ends at 10"),
        (0, {"stop": 9}, "it begins at row 10, but the one before ends at 9"),
        (1, {"number": 7}, "its number is 2, but 1 is expected"),
        (1, {"is_last": True}, "it is marked as the last shard, but more follow"),
        (2, {"is_last": False}, "it is the last shard, but not marked as the last"),
    ],
)
def test_a_shard_out_of_its_series_is_reported(place, change, detail):
    shards = series()
    shards[place] = replace(shards[place], **change)
    assert [found for _, found in problems(shards)] == [detail]


def test_a_gap_is_reported_once_for_each_series():
    shards = series(shards=9)
    del shards[2]
    assert problems(shards) == [("train-000003.tar", "its number is 3, but 2 is expected")]


def test_an_unfinished_series_may_end_anywhere():
    assert problems(series()[:2], is_finished=False) == []
    assert len(problems(series()[:2])) == 1
