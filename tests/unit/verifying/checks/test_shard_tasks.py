from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.errors import UsageError
from wdsremux.verifying.checks.shard_tasks import CheckPlan, ShardTask, subset_of


def tasks(number):
    return tuple(ShardTask(name=f"{i}.tar", size_bytes=0) for i in range(number))


@given(st.integers(0, 200), st.integers(1, 40))
def test_the_subsets_of_a_dataset_cover_it_once(number, parts):
    own = tasks(number)
    found = [t for part in range(1, parts + 1) for t in subset_of(own, f"{part}/{parts}")]
    assert sorted(found, key=own.index) == list(own)


@given(st.integers(1, 300), st.integers(1, 100))
def test_a_share_is_rounded_up_and_evenly_spread(number, percent):
    own = tasks(number)
    chosen = subset_of(own, f"{percent}%")
    assert len(chosen) == -(-number * percent // 100)
    places = [own.index(task) for task in chosen]
    assert places[0] == 0
    steps = [two - one for one, two in pairwise(places)]
    assert not steps or max(steps) - min(steps) <= 1
    assert subset_of(own, f"{percent}%") == chosen


def test_no_subset_is_everything():
    assert subset_of(tasks(3), None) == tasks(3)
    assert subset_of((), "1/20") == ()
    assert subset_of((), "5%") == ()


@pytest.mark.parametrize("subset", ["0/20", "21/20", "0%", "101%", "half"])
def test_an_invalid_subset_is_refused_with_the_syntax_of_the_help(subset):
    with pytest.raises(UsageError, match=r"1/20 \(the first of 20 parts\) or 5%"):
        subset_of(tasks(3), subset)


def test_shards_are_identified_by_either_checksum():
    one = ShardTask(name="a.tar", size_bytes=1, manifest_sum="m", entry_sum="e")
    two = ShardTask(name="b.tar", size_bytes=1, manifest_sum="n", entry_sum="n")
    plan = CheckPlan(tasks=(one, two), shards=2, is_ours=True)
    assert plan.names_by_sum() == {"m": "a.tar", "e": "a.tar", "n": "b.tar"}
    assert (one.sums, two.sums) == (("m", "e"), ("n",))
