"""ShardWriter: what a person's own loop gets."""

import hashlib
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.readers import webdataset_samples, wids_samples
from support.samples import content, keys_of, members_of, sample_of, shards_in

from wdsremux import ShardWriter
from wdsremux.core.errors import StoreError, UsageError
from wdsremux.core.manifest import Manifest
from wdsremux.core.tar import ustar
from wdsremux.dataset.entry import ShardEntry, entry_name


def unfinished_in(folder):
    return [p.name for p in folder.rglob("*") if p.is_file() and p.name.endswith("tmp")]


def test_samples_are_packed_in_order_with_an_index(tmp_path):
    with ShardWriter(tmp_path) as shards:
        for i in range(5):
            shards.write(sample_of(i))
    assert shards.samples == 5
    [tar] = shards_in(tmp_path).values()
    found = [(name, data) for name, _, data in members_of(tar)]
    assert found[2:4] == [("000001.jpg", content(1, 1000)), ("000001.json", b'{"label":1}')]
    assert keys_of(tar) == [f"{i:06d}" for i in range(5)]


@settings(max_examples=30)  # each syncs its files to the disk
@given(
    sizes=st.lists(st.integers(0, 7000), min_size=1, max_size=25),
    max_bytes=st.integers(10_240, 40_000),
    max_samples=st.none() | st.integers(1, 5),
)
def test_no_file_is_over_a_bound_and_nothing_is_lost(sizes, max_bytes, max_samples):
    with tempfile.TemporaryDirectory() as name:
        with ShardWriter(name, max_shard_size=max_bytes, max_shard_samples=max_samples) as shards:
            for i, size in enumerate(sizes):
                shards.write({"__key__": f"{i}", "bin": content(i, size)})
        found = list(shards_in(Path(name)).values())
    assert all(len(data) <= max_bytes for data in found)
    members = [members_of(data) for data in found]
    assert max_samples is None or all(len(shard) <= max_samples for shard in members)
    assert [data for shard in members for _, _, data in shard] == [
        content(i, size) for i, size in enumerate(sizes)
    ]


def test_the_manifest_lists_what_was_written(tmp_path):
    shards = ShardWriter(tmp_path, split="val", max_shard_samples=2)
    for i in range(5):
        shards.write(sample_of(i))
    manifest = shards.close()
    assert manifest == Manifest.from_bytes((tmp_path / "index.json").read_bytes())
    files = shards_in(tmp_path)
    assert list(files) == ["val-000000.tar", "val-000001.tar", "val-000002.tar"]
    for shard, (name, data) in zip(manifest.shards, files.items(), strict=True):
        assert (shard.name, shard.size_bytes) == (name, len(data))
        assert shard.sha256 == hashlib.sha256(data).hexdigest()
        entry = ShardEntry.from_bytes((tmp_path / entry_name(name)).read_bytes(), name)
        assert entry.summary == shard
        assert entry.keys == keys_of(data)
    assert manifest.totals.samples == manifest.totals.rows == 5
    assert [shard.is_last for shard in manifest.shards] == [False, False, True]


def test_wids_reads_every_sample_by_the_index(tmp_path):
    with ShardWriter(tmp_path / "out", max_shard_samples=3) as shards:
        for i in range(8):
            shards.write(sample_of(i))
    found = wids_samples(tmp_path / "out" / "index.json", tmp_path / "cache")
    assert [item["__key__"] for item in found] == [f"{i:06d}" for i in range(8)]
    assert [item[".jpg"] for item in found] == [content(i, 1000) for i in range(8)]
    assert [json.loads(item[".json"]) for item in found] == [{"label": i} for i in range(8)]


def test_webdataset_reads_every_sample_by_the_pattern(tmp_path):
    shards = ShardWriter(tmp_path, max_shard_samples=3)
    for i in range(8):
        shards.write({**sample_of(i), "seg.png": b"mask"})
    [pattern] = shards.close().patterns()["train"]
    assert pattern == "train-{000000..000002}.tar"
    found = webdataset_samples(tmp_path, pattern)
    assert [item["__key__"] for item in found] == [f"{i:06d}" for i in range(8)]
    assert [item["jpg"] for item in found] == [content(i, 1000) for i in range(8)]
    assert {item["seg.png"] for item in found} == {b"mask"}


def test_equal_samples_make_equal_files(tmp_path):
    for name in ("a", "b"):
        with ShardWriter(tmp_path / name) as shards:
            shards.write(sample_of(0))
    assert shards_in(tmp_path / "a") == shards_in(tmp_path / "b")


def test_values_are_packed_by_their_kind(tmp_path):
    with ShardWriter(tmp_path) as shards:
        shards.write(
            {
                "__key__": "a",
                "jpg": bytearray(b"bytes"),
                "webp": memoryview(b"view"),
                "txt": "grün",
                "cls": 7,
                "json": {"b": [1, None], "a": "ü"},
                "boxes.json": [[0.5, 1]],
            }
        )
    [tar] = shards_in(tmp_path).values()
    assert {name: data for name, _, data in members_of(tar)} == {
        "a.jpg": b"bytes",
        "a.webp": b"view",
        "a.txt": "grün".encode(),
        "a.cls": b"7",
        "a.json": '{"a":"ü","b":[1,null]}'.encode(),
        "a.boxes.json": b"[[0.5,1]]",
    }


def test_members_are_in_the_order_of_the_first_sample(tmp_path):
    with ShardWriter(tmp_path) as shards:
        shards.write({"json": {}, "jpg": b"1", "__key__": "a"})
        shards.write({"jpg": b"2", "__key__": "b", "json": {}})
    [tar] = shards_in(tmp_path).values()
    assert [name for name, _, _ in members_of(tar)] == ["a.json", "a.jpg", "b.json", "b.jpg"]


def test_an_exception_leaves_finished_shards_but_no_index_and_no_unfinished_file(tmp_path):
    def stop_early():
        with ShardWriter(tmp_path, max_shard_size=3_000_000) as shards:
            for i in range(5):
                shards.write(sample_of(i, 2_000_000))
            raise KeyError

    with pytest.raises(KeyError):
        stop_early()
    assert list(shards_in(tmp_path)) == [f"train-{i:06d}.tar" for i in range(3)]
    assert not (tmp_path / "index.json").exists()
    assert unfinished_in(tmp_path) == []


def test_an_exception_before_the_first_sample_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), ShardWriter(tmp_path / "out"):
        raise KeyError
    assert not (tmp_path / "out").exists()


def test_closing_inside_the_block_is_harmless(tmp_path):
    with ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
        manifest = shards.close()
    assert Manifest.from_bytes((tmp_path / "index.json").read_bytes()) == manifest


def test_a_closed_writer_takes_no_more_samples(tmp_path):
    with ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
    with pytest.raises(UsageError, match="closed"):
        shards.write(sample_of(1))


def test_a_disk_that_refuses_the_last_shard_leaves_no_index(tmp_path):
    (tmp_path / "train-000000.tar").mkdir()
    with pytest.raises(StoreError, match=r"train-000000\.tar"), ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
    assert not (tmp_path / "index.json").exists()
    assert unfinished_in(tmp_path) == []


def test_the_bound_is_counted_on_the_file(tmp_path):
    assert ustar.file_bytes(9 * 1024) == 10_240
    with ShardWriter(tmp_path, max_shard_size="20.48KB") as shards:
        for i in range(19):
            shards.write({"__key__": f"{i}", "bin": io.BytesIO(bytes(512)).read()})
    assert [len(tar) for tar in shards_in(tmp_path).values()] == [20_480]
