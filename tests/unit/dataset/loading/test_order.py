"""The order of an epoch: a permutation, decided by (seed, epoch), that mixes what is sorted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.dataset.loading.order import EpochOrder, permuted
from wdsremux.dataset.loading.shares import RankOrder, share_of


def epoch(samples, *, seed=0, number=0, window=16_384, batch_size=64):
    order = EpochOrder(samples, seed, number, window)
    share = share_of(samples, rank=0, world_size=1, batch_size=batch_size, remainder="keep")
    batches = RankOrder(order, share)
    return [batches.batch(number) for number in range(len(batches))]


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_blocks_are_permuted(count, key):
    found = permuted(np.arange(count), count, key)
    assert sorted(found) == list(range(count))


@given(st.integers(1, 700), st.integers(0, 2**63), st.integers(0, 5), st.integers(0, 300))
def test_an_epoch_visits_every_sample_once(samples, seed, number, window):
    found = np.concatenate(epoch(samples, seed=seed, number=number, window=window))
    assert sorted(found) == list(range(samples))


def test_without_a_window_the_stored_order_stays():
    assert np.concatenate(epoch(100, window=0)).tolist() == list(range(100))


def test_the_order_is_the_same_on_every_machine_and_release():
    assert epoch(40, seed=7, number=3, batch_size=8)[0].tolist() == ORDER_OF_SEED_7_EPOCH_3


def test_seeds_and_epochs_have_different_orders():
    orders = {
        tuple(np.concatenate(epoch(200, seed=seed, number=number)).tolist())
        for seed in range(4)
        for number in range(4)
    }
    assert len(orders) == 16


@pytest.mark.parametrize("classes", [100, 1000])
def test_batches_of_sorted_data_have_as_many_classes_as_a_true_shuffle(classes):
    samples = 100_000
    found = epoch(samples)
    seen = [len(set(batch // (samples // classes))) for batch in found]
    # Without replacement, 64 of n classes: n (1 - (1 - 1/n)^64).
    expected = classes * (1 - (1 - 1 / classes) ** 64)
    assert abs(np.mean(seen) - expected) < 0.03 * expected


def test_a_batch_far_into_the_epoch_is_found_without_those_before_it():
    order = EpochOrder(10**9, 0, 0, 16_384)
    share = share_of(10**9, rank=3, world_size=8, batch_size=64, remainder="keep")
    batch = RankOrder(order, share).batch(1_500_000)
    assert len(set(batch.tolist())) == 64
    assert batch.min() >= 0
    assert batch.max() < 10**9


ORDER_OF_SEED_7_EPOCH_3 = [12, 23, 36, 16, 9, 25, 3, 21]
