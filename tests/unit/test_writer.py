"""ShardWriter: what a person's own loop gets, and what it refuses."""

import hashlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.readers import webdataset_samples, wids_samples
from support.samples import content, keys_of, members_of

from wdsremux import ShardWriter, tarbytes
from wdsremux.errors import TargetError, UsageError
from wdsremux.manifest import Manifest
from wdsremux.shards.entry import ShardEntry, entry_name


def sample_of(i, size=1000):
    return {"__key__": f"{i:06d}", "jpg": content(i, size), "json": {"label": i}}


def shards_in(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


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


def test_the_manifest_tells_what_was_written(tmp_path):
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


def test_members_stand_in_the_order_of_the_first_sample(tmp_path):
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


def test_closing_inside_of_the_block_is_harmless(tmp_path):
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
    with pytest.raises(TargetError, match=r"train-000000\.tar"), ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
    assert not (tmp_path / "index.json").exists()
    assert unfinished_in(tmp_path) == []


@pytest.mark.parametrize(
    "key", [None, "", 7, "a.b", "../x", "a/b", "a b", "ä", "k" * 81, "line\n", "__meta__", "__x"]
)
def test_a_key_that_readers_would_not_find_again_is_refused(tmp_path, key):
    with ShardWriter(tmp_path) as shards, pytest.raises(UsageError, match="cannot name a sample"):
        shards.write({"__key__": key, "jpg": b""})


def test_a_sample_without_a_key_is_refused(tmp_path):
    with ShardWriter(tmp_path) as shards, pytest.raises(UsageError, match="key None cannot name"):
        shards.write({"jpg": b""})


@pytest.mark.parametrize(
    "name", ["", ".jpg", "jpg.", "seg..png", "a/b", "a b", "__url__", "_x", "JPG", "x\n", "é", 5]
)
def test_a_member_that_readers_would_not_find_again_is_refused(tmp_path, name):
    with ShardWriter(tmp_path) as shards, pytest.raises(UsageError, match="named by their exten"):
        shards.write({"__key__": "a", name: b""})


def test_a_sample_without_members_is_refused(tmp_path):
    with ShardWriter(tmp_path) as shards, pytest.raises(UsageError, match="named by their exten"):
        shards.write({"__key__": "a"})


@pytest.mark.parametrize("second", [{"jpg": b""}, {"jpg": b"", "json": {}, "cls": 1}])
def test_a_sample_with_other_members_than_the_first_is_refused(tmp_path, second):
    with ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
        with pytest.raises(UsageError, match=r"sample 'b' has the members .* the first had"):
            shards.write({"__key__": "b", **second})
    assert shards.samples == 1


def test_a_key_given_twice_is_refused(tmp_path):
    with ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
        with pytest.raises(UsageError, match="key '000000' was given before"):
            shards.write(sample_of(0))
    [tar] = shards_in(tmp_path).values()
    assert keys_of(tar) == ["000000"]


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("jpg", np.zeros((2, 2, 3), np.uint8), "ndarray"),
        ("jpg", {"a": 1}, "dict"),
        ("cls", True, "bool"),
        ("cls", 1.5, "float"),
        ("txt", None, "NoneType"),
    ],
)
def test_a_value_that_is_not_encoded_is_refused(tmp_path, name, value, kind):
    refused = pytest.raises(UsageError, match=f"sample 'a', member '{name}': cannot pack a {kind}")
    with ShardWriter(tmp_path) as shards, refused:
        shards.write({"__key__": "a", name: value})


@pytest.mark.parametrize("value", [{"x": {1, 2}}, {"x": float("nan")}, {"x": object()}])
def test_a_value_that_json_cannot_hold_is_refused(tmp_path, value):
    refused = pytest.raises(UsageError, match="sample 'a', member 'json': cannot pack")
    with ShardWriter(tmp_path) as shards, refused:
        shards.write({"__key__": "a", "json": value})


def test_a_refused_sample_can_be_mended_and_written(tmp_path):
    with ShardWriter(tmp_path) as shards:
        with pytest.raises(UsageError):
            shards.write({"__key__": "a", "jpg": None, "json": {}})
        shards.write({"__key__": "a", "jpg": b"mended"})
    [tar] = shards_in(tmp_path).values()
    assert [(name, data) for name, _, data in members_of(tar)] == [("a.jpg", b"mended")]


def test_a_sample_over_the_bound_is_refused_at_once_and_the_others_stay_whole(tmp_path):
    with ShardWriter(tmp_path, max_shard_size=10_240) as shards:
        shards.write(sample_of(0))
        with pytest.raises(UsageError, match="sample '000001' needs a tar of 20480 bytes, more th"):
            shards.write(sample_of(1, 9000))
        shards.write(sample_of(2))
    assert [key for tar in shards_in(tmp_path).values() for key in keys_of(tar)] == [
        "000000",
        "000002",
    ]


def test_a_name_too_long_for_a_tar_is_refused_and_the_others_stay_whole(tmp_path):
    with ShardWriter(tmp_path) as shards:
        shards.write({"__key__": "a", "segmentation-mask.png": b"1"})
        with pytest.raises(UsageError, match="at most 100"):
            shards.write({"__key__": "k" * 80, "segmentation-mask.png": b"2"})
        shards.write({"__key__": "c", "segmentation-mask.png": b"3"})
    [tar] = shards_in(tmp_path).values()
    assert keys_of(tar) == ["a", "c"]


@pytest.mark.parametrize("name", ["train-000000.tar", "index.json"])
def test_a_folder_with_shards_or_an_index_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"somebody's")
    with pytest.raises(UsageError, match=f"holds '{name}' already; choose an empty folder"):
        ShardWriter(tmp_path)
    assert (tmp_path / name).read_bytes() == b"somebody's"


def test_a_folder_with_other_files_is_taken(tmp_path):
    (tmp_path / "my-index.json").write_bytes(b"notes")
    with ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
    assert (tmp_path / "my-index.json").read_bytes() == b"notes"


@pytest.mark.parametrize(
    "options",
    [
        {"max_shard_size": "many"},
        {"max_shard_size": 0},
        {"max_shard_samples": 0},
        {"split": "../train"},
        {"split": ""},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused(tmp_path, options):
    with pytest.raises(UsageError, match=next(iter(options))):
        ShardWriter(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_the_bound_is_counted_on_the_file(tmp_path):
    assert tarbytes.file_bytes(9 * 1024) == 10_240
    with ShardWriter(tmp_path, max_shard_size="20.48KB") as shards:
        for i in range(19):
            shards.write({"__key__": f"{i}", "bin": io.BytesIO(bytes(512)).read()})
    assert [len(tar) for tar in shards_in(tmp_path).values()] == [20_480]
