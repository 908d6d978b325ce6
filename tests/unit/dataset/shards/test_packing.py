"""Packed samples: laid out as they will be in the tar."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import content, members_of, packed_of, starts

from wdsremux.core.tar import ustar
from wdsremux.dataset.shards.packing import SamplePacker, packed_from, packed_without

sample_sizes = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 600)), max_size=10)


@given(sample_sizes)
def test_the_payload_with_a_trailer_is_a_tar_of_its_samples(sizes):
    packed = packed_of(sizes)
    found = members_of(bytes(packed.payload) + ustar.trailer(len(packed.payload)))
    expected = []
    for i, (image, json) in enumerate(sizes):
        expected.append((f"{i:09d}.jpg", content(f"{i:09d}i", image)))
        expected.append((f"{i:09d}.json", content(f"{i:09d}j", json)))
    assert [(name, data) for name, _, data in found] == expected


@given(sample_sizes)
def test_sizes_and_checksums_are_those_of_each_samples_bytes(sizes):
    packed = packed_of(sizes)
    assert sum(packed.sizes) == len(packed.payload)
    for at, size, crc in zip(starts(packed.sizes), packed.sizes, packed.crcs, strict=True):
        assert size % 512 == 0
        assert zlib.crc32(packed.payload[at : at + size]) == crc


def test_the_lists_of_packed_samples_run_in_parallel():
    packed = packed_of([(100, 10), (0, 20)], positions=[7, 9])
    assert packed.positions == [7, 9]
    assert packed.keys == ["000000007", "000000009"]
    assert packed.members == [(100, 10), (0, 20)]
    assert packed.sizes == [2048, 1536]


def test_contents_are_returned_unchanged():
    builder = SamplePacker()
    builder.add(3, "key", (("jpg", b"\xff\xd8image"), ("seg.png", b""), ("json", b"{}")))
    packed = builder.packed()
    found = members_of(bytes(packed.payload) + ustar.trailer(len(packed.payload)))
    assert found == [
        ("key.jpg", 512, b"\xff\xd8image"),
        ("key.seg.png", 1536, b""),
        ("key.json", 2048, b"{}"),
    ]


def test_a_sample_that_cannot_be_packed_leaves_no_trace():
    builder = SamplePacker()
    builder.add(0, "a", (("jpg", b"one"),))
    with pytest.raises(ValueError, match="cannot hold"):
        builder.add(1, "b", (("jpg", b"two"), ("x" * 100, b"")))
    builder.add(2, "c", (("jpg", b"three"),))
    packed = builder.packed()
    assert packed.keys == ["a", "c"]
    assert sum(packed.sizes) == len(packed.payload) == 2048
    found = members_of(bytes(packed.payload) + ustar.trailer(len(packed.payload)))
    assert [name for name, _, _ in found] == ["a.jpg", "c.jpg"]


def test_no_samples_have_no_bytes():
    packed = SamplePacker().packed()
    assert (bytes(packed.payload), packed.keys, packed.sizes) == (b"", [], [])


@given(sample_sizes, st.data())
def test_dropping_samples_equals_packing_the_others(sizes, data):
    numbers = data.draw(st.sets(st.integers(0, 12)))
    left = [i for i in range(len(sizes)) if i not in numbers]
    assert packed_without(packed_of(sizes), numbers) == packed_of([sizes[i] for i in left], left)


def test_labels_stay_with_their_samples():
    packer = SamplePacker()
    for position, label in enumerate("abc"):
        packer.add(position, str(position), [("jpg", b"x")], label)
    packed = packer.packed()
    assert packed_from(packed, 1).labels == ["b", "c"]
    assert packed_without(packed, {1}).labels == ["a", "c"]
