"""ShardWriter: what it refuses, in time for the caller to correct it."""

import numpy as np
import pytest
from support.samples import keys_of, members_of, sample_of, shards_in

from wdsremux import ShardWriter
from wdsremux.core.errors import UsageError


@pytest.mark.parametrize(
    "key", [None, "", 7, "a.b", "../x", "a/b", "a b", "ä", "k" * 81, "line\n", "__meta__", "__x"]
)
def test_a_key_that_readers_would_misread_is_refused(tmp_path, key):
    with ShardWriter(tmp_path) as shards, pytest.raises(UsageError, match="cannot name a sample"):
        shards.write({"__key__": key, "jpg": b""})


def test_a_sample_without_a_key_is_refused(tmp_path):
    with ShardWriter(tmp_path) as shards, pytest.raises(UsageError, match="key None cannot name"):
        shards.write({"jpg": b""})


@pytest.mark.parametrize(
    "name", ["", ".jpg", "jpg.", "seg..png", "a/b", "a b", "__url__", "_x", "JPG", "x\n", "é", 5]
)
def test_a_member_that_readers_would_misread_is_refused(tmp_path, name):
    with (
        ShardWriter(tmp_path) as shards,
        pytest.raises(UsageError, match="name members by their exten"),
    ):
        shards.write({"__key__": "a", name: b""})


def test_a_sample_without_members_is_refused(tmp_path):
    with (
        ShardWriter(tmp_path) as shards,
        pytest.raises(UsageError, match="name members by their exten"),
    ):
        shards.write({"__key__": "a"})


@pytest.mark.parametrize("second", [{"jpg": b""}, {"jpg": b"", "json": {}, "cls": 1}])
def test_a_sample_with_other_members_than_the_first_is_refused(tmp_path, second):
    with ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
        with pytest.raises(UsageError, match=r"sample 'b' has the members .* the first had"):
            shards.write({"__key__": "b", **second})
    assert shards.samples == 1


def test_a_duplicate_key_is_refused(tmp_path):
    with ShardWriter(tmp_path) as shards:
        shards.write(sample_of(0))
        with pytest.raises(UsageError, match="duplicate key '000000'"):
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


def test_a_refused_sample_can_be_corrected_and_written(tmp_path):
    with ShardWriter(tmp_path) as shards:
        with pytest.raises(UsageError):
            shards.write({"__key__": "a", "jpg": None, "json": {}})
        shards.write({"__key__": "a", "jpg": b"corrected"})
    [tar] = shards_in(tmp_path).values()
    assert [(name, data) for name, _, data in members_of(tar)] == [("a.jpg", b"corrected")]


def test_a_sample_over_the_bound_is_refused_and_the_others_are_kept(tmp_path):
    with ShardWriter(tmp_path, max_shard_size=10_240) as shards:
        shards.write(sample_of(0))
        with pytest.raises(UsageError, match="sample '000001' needs a tar of 20480 bytes, more th"):
            shards.write(sample_of(1, 9000))
        shards.write(sample_of(2))
    assert [key for tar in shards_in(tmp_path).values() for key in keys_of(tar)] == [
        "000000",
        "000002",
    ]


def test_a_name_too_long_for_a_tar_is_refused_and_the_others_are_kept(tmp_path):
    with ShardWriter(tmp_path) as shards:
        shards.write({"__key__": "a", "segmentation-mask.png": b"1"})
        with pytest.raises(UsageError, match="up to 100"):
            shards.write({"__key__": "k" * 80, "segmentation-mask.png": b"2"})
        shards.write({"__key__": "c", "segmentation-mask.png": b"3"})
    [tar] = shards_in(tmp_path).values()
    assert keys_of(tar) == ["a", "c"]


@pytest.mark.parametrize("name", ["train-000000.tar", "index.json"])
def test_a_folder_with_shards_or_an_index_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"somebody's")
    with pytest.raises(UsageError, match=f"already contains '{name}'; choose an empty folder"):
        ShardWriter(tmp_path)
    assert (tmp_path / name).read_bytes() == b"somebody's"


def test_a_folder_with_other_files_is_accepted(tmp_path):
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
def test_an_invalid_option_is_refused(tmp_path, options):
    with pytest.raises(UsageError, match=next(iter(options))):
        ShardWriter(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_url_is_not_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="s3://bucket/x"):
        ShardWriter("s3://bucket/x")
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_size_is_refused_before_the_first_sample(tmp_path):
    with pytest.raises(UsageError, match=r"max_shard_size cannot be 1: a tar file has at least"):
        ShardWriter(tmp_path, max_shard_size=1)
