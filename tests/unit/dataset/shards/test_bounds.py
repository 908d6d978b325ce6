"""Where a shard ends, by the sizes of the samples alone."""

from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st
from support.assigned import assign

from wdsremux.core.tar import ustar
from wdsremux.dataset.shards.bounds import Bounds

sizes = st.lists(st.integers(1, 20).map(lambda blocks: blocks * 512), max_size=60)
bounds = st.builds(Bounds, st.integers(10_240, 60_000), st.none() | st.integers(1, 7))


def shards_of(sample_sizes, limits):
    """Return the sizes of each shard's samples."""
    numbered = zip(assign(sample_sizes, limits), sample_sizes, strict=True)
    return [[size for _, size in group] for _, group in groupby(numbered, key=lambda pair: pair[0])]


@given(sizes, bounds)
def test_no_shard_of_several_samples_is_over_a_bound(sample_sizes, limits):
    for shard in shards_of(sample_sizes, limits):
        assert limits.max_samples is None or len(shard) <= limits.max_samples
        assert len(shard) == 1 or ustar.file_bytes(sum(shard)) <= limits.max_bytes


@given(sizes, bounds)
def test_numbers_begin_at_0_and_rise_one_by_one(sample_sizes, limits):
    numbers = list(assign(sample_sizes, limits))
    assert len(numbers) == len(sample_sizes)
    assert numbers[:1] in ([], [0])
    assert all(later - earlier in (0, 1) for earlier, later in pairwise(numbers))


@given(sizes, bounds)
def test_a_shard_is_closed_only_when_the_next_sample_does_not_fit(sample_sizes, limits):
    for shard, following in pairwise(shards_of(sample_sizes, limits)):
        is_full = limits.max_samples is not None and len(shard) == limits.max_samples
        assert is_full or ustar.file_bytes(sum(shard) + following[0]) > limits.max_bytes


@given(sizes, bounds, st.integers(0, 60))
def test_sizes_that_come_later_change_nothing_before_them(sample_sizes, limits, length):
    known = list(assign(sample_sizes[:length], limits))
    assert known == list(assign(sample_sizes, limits))[:length]


def test_the_bound_counts_headers_padding_and_end_blocks():
    # A file of 10240 bytes holds 9216 bytes of members: the rest is its end.
    assert list(assign([4608, 4608], Bounds(10_240))) == [0, 0]
    assert list(assign([4608, 5120], Bounds(10_240))) == [0, 1]


def test_a_file_is_counted_in_whole_records():
    assert list(assign([4608, 5120], Bounds(20_479))) == [0, 1]
    assert list(assign([4608, 5120], Bounds(20_480))) == [0, 0]


def test_a_sample_over_the_bound_gets_its_own_shard():
    assert list(assign([512, 50_000, 512, 512], Bounds(10_240))) == [0, 1, 2, 2]


def test_a_shard_holds_no_more_samples_than_are_allowed():
    assert list(assign([512] * 5, Bounds(10_240, 2))) == [0, 0, 1, 1, 2]
