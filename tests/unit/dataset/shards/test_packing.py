"""Lots: samples laid out as they will stand in the tar."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import content, lot_of, members_of, starts

from wdsremux.core.tar import ustar
from wdsremux.dataset.shards.packing import LotBuilder, lot_without

sample_sizes = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 600)), max_size=10)


@given(sample_sizes)
def test_the_payload_of_a_lot_with_a_trailer_is_a_tar_of_its_samples(sizes):
    lot = lot_of(sizes)
    found = members_of(bytes(lot.payload) + ustar.trailer(len(lot.payload)))
    expected = []
    for i, (image, json) in enumerate(sizes):
        expected.append((f"{i:09d}.jpg", content(f"{i:09d}i", image)))
        expected.append((f"{i:09d}.json", content(f"{i:09d}j", json)))
    assert [(name, data) for name, _, data in found] == expected


@given(sample_sizes)
def test_sizes_and_checksums_are_those_of_each_samples_bytes(sizes):
    lot = lot_of(sizes)
    assert sum(lot.sizes) == len(lot.payload)
    for at, size, crc in zip(starts(lot.sizes), lot.sizes, lot.crcs, strict=True):
        assert size % 512 == 0
        assert zlib.crc32(lot.payload[at : at + size]) == crc


def test_the_lists_of_a_lot_run_in_parallel():
    lot = lot_of([(100, 10), (0, 20)], positions=[7, 9])
    assert lot.positions == [7, 9]
    assert lot.keys == ["000000007", "000000009"]
    assert lot.members == [(100, 10), (0, 20)]
    assert lot.sizes == [2048, 1536]


def test_contents_come_back_as_they_were_given():
    builder = LotBuilder()
    builder.add(3, "key", (("jpg", b"\xff\xd8image"), ("seg.png", b""), ("json", b"{}")))
    lot = builder.lot()
    found = members_of(bytes(lot.payload) + ustar.trailer(len(lot.payload)))
    assert found == [
        ("key.jpg", 512, b"\xff\xd8image"),
        ("key.seg.png", 1536, b""),
        ("key.json", 2048, b"{}"),
    ]


def test_a_sample_that_cannot_be_laid_out_leaves_no_trace_in_the_lot():
    builder = LotBuilder()
    builder.add(0, "a", (("jpg", b"one"),))
    with pytest.raises(ValueError, match="cannot hold"):
        builder.add(1, "b", (("jpg", b"two"), ("x" * 100, b"")))
    builder.add(2, "c", (("jpg", b"three"),))
    lot = builder.lot()
    assert lot.keys == ["a", "c"]
    assert sum(lot.sizes) == len(lot.payload) == 2048
    found = members_of(bytes(lot.payload) + ustar.trailer(len(lot.payload)))
    assert [name for name, _, _ in found] == ["a.jpg", "c.jpg"]


def test_an_empty_lot_has_no_bytes():
    lot = LotBuilder().lot()
    assert (bytes(lot.payload), lot.keys, lot.sizes) == (b"", [], [])


@given(sample_sizes, st.data())
def test_a_lot_without_some_samples_is_the_lot_of_the_others(sizes, data):
    numbers = data.draw(st.sets(st.integers(0, 12)))
    left = [i for i in range(len(sizes)) if i not in numbers]
    assert lot_without(lot_of(sizes), numbers) == lot_of([sizes[i] for i in left], left)
