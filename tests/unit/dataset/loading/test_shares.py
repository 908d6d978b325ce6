"""The parts of the ranks: nothing lost, nothing doubled, and no rank waits for another."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.errors import UsageError
from wdsremux.dataset.loading.order import EpochOrder
from wdsremux.dataset.loading.shares import RankOrder, share_of

sizes = st.integers(8, 400)
worlds = st.integers(1, 8)
batch_sizes = st.integers(2, 40)


def parts(samples, world_size, batch_size, remainder, window=64):
    """Return the batches of every rank."""
    order = EpochOrder(samples, 1, 2, window)
    found = []
    for rank in range(world_size):
        share = share_of(
            samples, rank=rank, world_size=world_size, batch_size=batch_size, remainder=remainder
        )
        batches = RankOrder(order, share)
        found.append([batches.batch(number).tolist() for number in range(len(batches))])
    return found


@given(sizes, worlds, batch_sizes)
def test_keep_gives_every_sample_once_in_as_many_batches(samples, world_size, batch_size):
    found = parts(samples, world_size, batch_size, "keep")
    assert sorted(itertools.chain(*itertools.chain(*found))) == list(range(samples))
    assert len({len(batches) for batches in found}) == 1
    assert all(1 <= len(batch) <= batch_size for batch in itertools.chain(*found))
    counts = [sum(map(len, batches)) for batches in found]
    assert max(counts) - min(counts) <= 1


@given(st.integers(1, 400), worlds, batch_sizes)
def test_pad_gives_every_rank_as_many_samples(samples, world_size, batch_size):
    found = parts(samples, world_size, batch_size, "pad")
    everything = list(itertools.chain(*itertools.chain(*found)))
    assert set(everything) == set(range(samples))
    assert len(everything) == -(-samples // world_size) * world_size
    assert len({tuple(map(len, batches)) for batches in found}) == 1


@given(sizes, worlds, batch_sizes)
def test_drop_gives_full_batches_only(samples, world_size, batch_size):
    found = parts(samples, world_size, batch_size, "drop")
    everything = list(itertools.chain(*itertools.chain(*found)))
    assert len(set(everything)) == len(everything)
    assert {len(batch) for batch in itertools.chain(*found)} <= {batch_size}
    assert {len(batches) for batches in found} == {samples // world_size // batch_size}


def test_single_samples_are_batches_of_one():
    found = parts(10, 4, 1, "keep")
    assert [len(batches) for batches in found] == [2, 3, 2, 3]


@given(sizes, batch_sizes, st.integers(1, 6), st.integers(0, 20))
def test_after_any_resume_the_workers_read_exactly_the_rest(samples, batch_size, workers, start):
    (batches,) = parts(samples, 1, batch_size, "keep")
    taken = [batches[start + worker :: workers] for worker in range(workers)]
    in_turn = [batch for row in itertools.zip_longest(*taken) for batch in row if batch is not None]
    assert in_turn == batches[start:]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"rank": 4}, r"rank=4 is not in range\(4\)"),
        ({"rank": -1}, "rank=-1 is not in range"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"remainder": "loop"}, "remainder='loop' is not one of 'keep', 'pad', 'drop'"),
        ({"samples": 3}, "3 samples cannot be divided among 4 ranks; pass remainder='pad'"),
    ],
    ids=str,
)
def test_an_impossible_division_is_refused(arguments, problem):
    arguments = {
        "samples": 9,
        "rank": 0,
        "world_size": 4,
        "batch_size": 2,
        "remainder": "keep",
    } | arguments
    with pytest.raises(UsageError, match=problem):
        share_of(arguments.pop("samples"), **arguments)


def test_batches_may_be_requested_in_any_order():
    order = EpochOrder(500, 0, 0, 50)
    share = share_of(500, rank=0, world_size=1, batch_size=16, remainder="keep")
    ascending = [RankOrder(order, share).batch(number) for number in range(share.batches)]
    batches = RankOrder(order, share)
    for number in (31, 0, 17, 3):
        assert np.array_equal(batches.batch(number), ascending[number])
