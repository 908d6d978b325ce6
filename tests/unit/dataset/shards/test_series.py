"""One series of shards: bounds, order, truthful entries, and the same bytes after any stop."""

import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.assigned import assign
from support.memory_store import MemoryStore
from support.samples import keys_of, members_of, packed_of, rejected
from support.series_runs import Rows, plan_of, write

from wdsremux.core.errors import StoreError, UsageError
from wdsremux.core.tar import ustar
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.dataset.shards.series import SeriesWriter, prefix_of_shard, shard_name

sample = st.tuples(st.integers(0, 6000), st.integers(0, 700))
outcomes = st.lists(st.none() | sample, min_size=1, max_size=30).filter(any)
rows_drawn = st.builds(
    Rows,
    outcomes,
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.sampled_from([0, 1000]),
)
# The largest sample takes 8192 bytes, so that each fits the smallest bound.
bounds_drawn = st.builds(Bounds, st.integers(10_240, 50_000), st.none() | st.integers(1, 6))


@pytest.mark.parametrize("number", [0, 999_999, 1_000_000, 12_345_678])
@pytest.mark.parametrize("prefix", ["train", "a-b-c1", "x-000001"])
def test_a_shard_name_contains_its_series(prefix, number):
    assert prefix_of_shard(shard_name(prefix, number)) == prefix


@pytest.mark.parametrize(
    "name",
    ["train-00000.tar", "train-0000001.tar", "-000001.tar", "train-000001.tar.part", "index.json"],
)
def test_other_names_have_no_series(name):
    assert prefix_of_shard(name) == ""


@given(rows_drawn, bounds_drawn)
def test_no_shard_file_is_larger_than_the_bound(rows, bounds):
    for data in write(rows, plan_of(bounds)).shards.values():
        assert len(data) <= bounds.max_bytes
        assert bounds.max_samples is None or len(keys_of(data)) <= bounds.max_samples


@given(rows_drawn, bounds_drawn)
def test_every_sample_is_in_the_shards_once_and_in_order(rows, bounds):
    shards = write(rows, plan_of(bounds)).shards
    assert list(shards) == [f"train-{i:06d}.tar" for i in range(len(shards))]
    keys = [key for data in shards.values() for key in keys_of(data)]
    assert keys == [f"{position:09d}" for position in rows.positions]


@given(rows_drawn, bounds_drawn)
def test_contents_are_those_of_the_packed_samples(rows, bounds):
    shards = write(rows, plan_of(bounds)).shards
    found = [data for tar in shards.values() for _, _, data in members_of(tar)]
    packs = [packed for packed, _ in rows.batches()]
    payloads = [bytes(packed.payload) + ustar.trailer(len(packed.payload)) for packed in packs]
    assert found == [data for tar in payloads for _, _, data in members_of(tar)]


@given(rows_drawn, bounds_drawn)
def test_shards_end_where_assign_says(rows, bounds):
    sizes = [size for packed, _ in rows.batches() for size in packed.sizes]
    shards = write(rows, plan_of(bounds)).shards
    numbers = [i for i, data in enumerate(shards.values()) for _ in keys_of(data)]
    assert numbers == list(assign(sizes, bounds))


@given(rows_drawn, bounds_drawn, st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_the_bytes_do_not_depend_on_how_rows_are_cut_into_batches(rows, bounds, lengths):
    once = write(rows, plan_of(bounds)).store.files
    again = write(Rows(rows.outcomes, lengths, rows.first), plan_of(bounds)).store.files
    assert again == once


@given(rows_drawn, bounds_drawn)
def test_sizes_and_hashes_of_an_entry_are_those_of_its_file(rows, bounds):
    written = write(rows, plan_of(bounds))
    for entry, (name, data) in zip(written.entries, written.shards.items(), strict=True):
        summary = entry.summary
        assert summary.name == name
        assert summary.size_bytes == len(data)
        assert summary.sha256 == hashlib.sha256(data).hexdigest()
        assert summary.samples == len(keys_of(data))
        assert entry.fingerprint == "f" * 64


@given(rows_drawn, bounds_drawn)
def test_an_entry_locates_every_sample_and_member(rows, bounds):
    written = write(rows, plan_of(bounds))
    for entry, data in zip(written.entries, written.shards.values(), strict=True):
        members = iter(members_of(data))
        for found in entry.samples():
            raw = data[found.offset : found.offset + found.size_bytes]
            assert zlib.crc32(raw) == found.crc32
            assert f"{found.position:09d}" == found.key
            for extension, offset, size in found.members:
                name, tar_offset, content = next(members)
                assert (f"{found.key}.{extension}", offset, size) == (
                    name,
                    tar_offset,
                    len(content),
                )
        assert next(members, None) is None


@given(rows_drawn, bounds_drawn)
def test_shards_cover_every_row_once(rows, bounds):
    summaries = write(rows, plan_of(bounds)).summaries
    borders = [summary.start for summary in summaries] + [summaries[-1].stop]
    assert borders[0] == rows.first
    assert borders[-1] == rows.stop
    assert [summary.stop for summary in summaries] == borders[1:]
    assert sum(s.samples + s.left_out for s in summaries) == len(rows.outcomes)
    assert [s.is_last for s in summaries] == [False] * (len(summaries) - 1) + [True]


@given(rows_drawn, bounds_drawn)
def test_every_rejected_row_is_once_in_the_entry_that_covers_it(rows, bounds):
    entries = write(rows, plan_of(bounds)).entries
    found = [item.position for entry in entries for item in entry.rejected]
    assert found == rows.rejected_positions
    for entry in entries:
        assert entry.summary.left_out == len(entry.rejected)
        assert all(
            entry.summary.start <= item.position < entry.summary.stop for item in entry.rejected
        )


@given(rows_drawn, bounds_drawn, st.data())
def test_a_series_resumed_after_any_shard_writes_the_same_files(rows, bounds, data):
    whole = write(rows, plan_of(bounds))
    kept = data.draw(st.integers(0, len(whole.summaries) - 1), label="shards that stand")
    start = whole.summaries[kept - 1].stop if kept else rows.first
    # A batch function sees whole batches again: rows before the start may come once more.
    read_from = data.draw(st.integers(rows.first, start), label="first row read again")
    rest = write(rows, plan_of(bounds), start=start, number=kept, read_from=read_from)
    standing = {s.name for s in whole.summaries[:kept]}
    standing |= {entry_name(name) for name in standing}
    expected = {name: raw for name, raw in whole.store.files.items() if name not in standing}
    assert rest.store.files == expected
    assert rest.summaries == whole.summaries[kept:]


def test_a_shard_is_published_before_its_entry():
    written = write(Rows([(4000, 10)] * 5), plan_of(Bounds(10_240)))
    names = [f"train-{i:06d}.tar" for i in range(5)]
    assert written.store.published == [n for name in names for n in (name, entry_name(name))]


def test_a_shard_is_reported_once_its_entry_is_published():
    store, reported = MemoryStore(), []
    writer = SeriesWriter(
        store,
        plan_of(Bounds(10_240)),
        on_shard=lambda s: reported.append((s.name, len(store.files))),
    )
    writer.add(packed_of([(4000, 10)] * 2))
    assert reported == [("train-000000.tar", 2)]
    writer.finish(2)
    assert reported == [("train-000000.tar", 2), ("train-000001.tar", 4)]


def test_a_sample_over_the_bound_is_refused_by_its_name():
    writer = SeriesWriter(MemoryStore(), plan_of(Bounds(10_240)))
    with pytest.raises(UsageError) as caught:
        writer.add(packed_of([(100, 10), (9000, 10)], positions=[7, 8]))
    text = str(caught.value)
    assert "sample '000000008' (row 8) needs a tar of 20480 bytes" in text
    assert "more than --max-shard-size 10240" in text
    assert "--allow-oversize" in text


def test_samples_before_a_refused_one_are_published_and_resumed_from():
    store = MemoryStore()
    writer = SeriesWriter(store, plan_of(Bounds(10_240)))
    with pytest.raises(UsageError):
        writer.add(packed_of([(100, 10), (9000, 10), (100, 10)]))
    writer.abort()
    [name] = [name for name in store.files if name.endswith(".tar")]
    entry = ShardEntry.from_bytes(store.files[entry_name(name)], name)
    assert (entry.keys, entry.summary.stop, entry.summary.is_last) == (["000000000"], 1, False)


def test_an_allowed_sample_over_the_bound_gets_its_own_shard():
    rows = Rows([(100, 10), (100, 10), (9000, 10), (100, 10), (100, 10)], [2])
    written = write(rows, plan_of(Bounds(10_240), allow_oversize=True))
    assert [len(keys_of(data)) for data in written.shards.values()] == [2, 1, 2]
    assert [len(data) for data in written.shards.values()] == [10_240, 20_480, 10_240]


def test_only_the_sample_over_the_bound_makes_a_shard_too_large():
    rows = Rows([(9000, 10), (9000, 10), (100, 10)])
    written = write(rows, plan_of(Bounds(10_240), allow_oversize=True))
    assert [keys_of(data) for data in written.shards.values()] == [
        ["000000000"],
        ["000000001"],
        ["000000002"],
    ]


def test_rows_without_a_single_sample_give_no_shard():
    store = MemoryStore()
    writer = SeriesWriter(store, plan_of())
    writer.reject([rejected(0), rejected(1)])
    writer.add(packed_of([]))
    writer.finish(2)
    assert store.files == {}
    assert store.staged == set()


def test_an_aborted_series_leaves_no_unfinished_file():
    store = MemoryStore()
    writer = SeriesWriter(store, plan_of(Bounds(10_240)))
    writer.add(packed_of([(4000, 10)] * 3))
    writer.abort()
    writer.abort()
    assert store.staged == set()
    assert sorted(store.files) == [
        ".wdsremux/train-000000.msgpack",
        ".wdsremux/train-000001.msgpack",
        "train-000000.tar",
        "train-000001.tar",
    ]


@pytest.mark.parametrize("failing", ["train-000000.tar", ".wdsremux/train-000000.msgpack"])
def test_a_store_error_leaves_no_unfinished_file(failing):
    store = MemoryStore(fail_on=failing)
    writer = SeriesWriter(store, plan_of(Bounds(10_240)))
    with pytest.raises(StoreError, match="no space left"):
        writer.add(packed_of([(4000, 10)] * 2))
    writer.abort()
    assert store.staged == set()
    assert failing not in store.files


def test_the_series_of_a_copy_names_its_shards_by_its_prefix():
    written = write(Rows([(10, 10)]), plan_of(prefix="train-c1", copy=1))
    assert sorted(written.store.files) == [
        ".wdsremux/train-c1-000000.msgpack",
        "train-c1-000000.tar",
    ]
    assert written.summaries[0].copy == 1


def test_a_shard_that_is_not_approved_is_not_published():
    store, seen = MemoryStore(), []

    def approve(summary):
        seen.append(summary.name)
        raise KeyError(summary.sha256)

    writer = SeriesWriter(store, plan_of(), approve=approve)
    writer.add(packed_of([(10, 10)]))
    with pytest.raises(KeyError):
        writer.finish(1)
    writer.abort()
    assert seen == ["train-000000.tar"]
    assert store.files == {}


def test_a_shard_in_the_middle_of_a_series_is_finished_without_its_end():
    summaries = []
    writer = SeriesWriter(MemoryStore(), plan_of(), start=5, number=2, on_shard=summaries.append)
    writer.add(packed_of([(10, 10)], [6]))
    writer.finish(9, is_last=False)
    (summary,) = summaries
    assert (summary.number, summary.start, summary.stop, summary.is_last) == (2, 5, 9, False)


def test_a_shard_ends_after_its_rows_once_it_is_large_enough():
    # Samples of about 0.5 MB: four of them make 2 MB, whatever the number of rows says.
    rows = Rows([(500_000, 10)] * 3 + [None] * 5 + [(500_000, 10)] * 9)
    written = write(rows, plan_of(Bounds(50_000_000, rows=2)))
    assert [(s.start, s.stop) for s in written.summaries] == [(0, 9), (9, 13), (13, 17)]
    written = write(rows, plan_of(Bounds(50_000_000, rows=7)))
    assert [(s.start, s.stop) for s in written.summaries] == [(0, 9), (9, 16), (16, 17)]
    resumed = write(rows, plan_of(Bounds(50_000_000, rows=7)), start=9, number=1)
    assert resumed.summaries == written.summaries[1:]
