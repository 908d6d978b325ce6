"""The manifest records the SHA-256 of every entry: a changed entry is found at every depth."""

import hashlib
import json

import numpy as np
import pytest
from support.verified import SHARD, codes, copied, edit_json, entry_path, flip, make_dataset

import wdsremux
from wdsremux.core.errors import CorruptDataError
from wdsremux.core.manifest import Manifest
from wdsremux.verifying.verify import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=20)


@pytest.fixture
def out(made, tmp_path):
    return copied(made, tmp_path / "out")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def without_sums(out):
    """Make index.json one of version 1, as older versions wrote it."""

    def strip(index):
        del index["index_version"]
        for shard in index["shardlist"]:
            del shard["entry_sha256"]

    edit_json(out / "index.json", strip)


def test_every_flipped_bit_of_an_entry_is_found_without_reading_shards(out):
    path = entry_path(out)
    rng = np.random.default_rng(5)
    for offset in range(0, path.stat().st_size, 7):
        bit = int(rng.integers(8))
        flip(path, offset, bit)
        assert codes(verify(out, "entries")) != [], f"byte {offset}, bit {bit}"
        flip(path, offset, bit)
    assert codes(verify(out, "entries")) == []


def test_a_key_changed_in_an_entry_is_neither_shown_nor_loaded(out):
    path = entry_path(out)
    key = json.loads((out / "index.json").read_bytes())["shardlist"][1]["first_position"]
    data = path.read_bytes().replace(b"%09d" % key, b"%09d" % 777)
    path.write_bytes(data)
    assert codes(verify(out, "entries")) == [112]
    with pytest.raises(CorruptDataError, match=r"SHA-256 differs from the one in index\.json"):
        wdsremux.load(out)[key]


def test_a_resumed_conversion_records_the_same_sums(tmp_path, made):
    out = copied(made, tmp_path / "resumed")
    for name in ("index.json", "train-000001.tar", ".wdsremux/train-000001.msgpack"):
        (out / name).unlink()
    make_dataset(out, rows=20)
    whole = (made / "index.json").read_bytes()
    assert (out / "index.json").read_bytes() == whole
    sums = [shard.entry_sha256 for shard in Manifest.from_bytes(whole).shards]
    assert len(set(sums)) == len(sums) > 1
    assert sums == [sha256(entry_path(made, s.name)) for s in Manifest.from_bytes(whole).shards]


def test_an_index_of_version_1_is_read_and_its_entries_are_not_compared(out):
    without_sums(out)
    assert codes(verify(out, "pixels")) == []
    assert len(wdsremux.load(out)) == 19
    assert {
        s.entry_sha256 for s in Manifest.from_bytes((out / "index.json").read_bytes()).shards
    } == {""}


def test_a_newer_index_is_refused(out):
    edit_json(out / "index.json", lambda index: index.update(index_version=5))
    with pytest.raises(CorruptDataError, match="index_version 5 needs a newer wdsremux"):
        wdsremux.load(out)


def test_index_records_checksums_for_shards_of_other_tools(out):
    for path in (out / "index.json", out / "README.md", *(out / ".wdsremux").iterdir()):
        path.unlink()
    wdsremux.index(out)
    assert codes(verify(out)) == []
    flip(entry_path(out), 200)
    assert 112 in codes(verify(out, "entries"))


@pytest.mark.parametrize("sum_", ["x", 5, "A" * 64])
def test_a_malformed_sum_makes_the_index_unreadable(out, sum_):
    edit_json(out / "index.json", lambda index: index["shardlist"][0].update(entry_sha256=sum_))
    assert 101 in codes(verify(out, "entries"))


def test_a_shard_is_named_with_its_suggestion(out):
    flip(entry_path(out, SHARD), 300)
    assert {finding.shard for finding in verify(out, "entries").findings} == {
        ".wdsremux/train-000001.msgpack"
    }
