"""Indexes for other loaders: every offset is that of the tar, of any writer."""

import json
import platform
import sqlite3
import struct
import sys
import tarfile

import pytest
import yaml
from support.corpora import jpeg
from support.readers import wids_samples
from support.verified import make_dataset, member, sample, write_tar

import wdsremux
from wdsremux.core.errors import UsageError
from wdsremux.dataset.indexes.registry import KINDS, kinds_from_text


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return an output of two copies."""
    out = make_dataset(tmp_path_factory.mktemp("own") / "out", rows=30, copies=2)
    wdsremux.index(out, kinds="all")
    return out


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Return foreign shards, in two splits, with members that no entry can describe."""
    out = tmp_path_factory.mktemp("foreign") / "out"
    odd = [member("a.jpg", jpeg(1, 16, 16), pax=True), member("a.JSON", b'{"label": 1}', pax=True)]
    folder = [member("folder/", kind=tarfile.DIRTYPE)]
    write_tar(out / "train-0.tar", [*folder, *odd, *sample("folder/b", **{"seg.png": b"mask"})])
    write_tar(out / "val-0.tar", [*sample("c"), *sample("d")])
    wdsremux.index(out, kinds=list(KINDS))
    return out


@pytest.fixture(params=["own", "foreign"])
def out(request):
    return request.getfixturevalue(request.param)


def walked(path):
    """Return samples by key as tarfile sees them: members with their offsets; and the end."""
    found = {}
    with tarfile.open(path) as tar:
        for one in tar:
            if one.isreg():
                folder, slash, base = one.name.rpartition("/")
                key, _, field = base.partition(".")
                found.setdefault(folder + slash + key, []).append((field, one))
        return found, tar.offset


def tars(out):
    return sorted(out.glob("*.tar"))


def test_dali_finds_the_content_of_every_member(out):
    for path in tars(out):
        samples, _ = walked(path)
        first, *lines = path.with_suffix(".idx").read_text().splitlines()
        assert first == f"v1.2 {len(samples)}"
        assert lines == [
            " ".join(
                f"{field.lower()} {one.offset_data} {one.size} {one.name}" for field, one in members
            )
            for members in samples.values()
        ]


def test_energon_finds_the_first_header_of_every_sample_and_the_end(out):
    for path in tars(out):
        samples, end = walked(path)
        data = path.with_suffix(".tar.idx").read_bytes()
        starts = struct.unpack(f"<{len(data) // 8}Q", data)
        assert list(starts) == [*(members[0][1].offset for members in samples.values()), end]


def test_energon_finds_samples_and_parts_in_its_database(out):
    info = json.loads((out / ".nv-meta/.info.json").read_text())
    names = list(info["shard_counts"])
    database = sqlite3.connect(out / ".nv-meta/index.sqlite")
    parts = set(database.execute("SELECT * FROM sample_parts"))
    keys = list(database.execute("SELECT tar_file_id, sample_key FROM samples ORDER BY rowid"))
    database.close()
    assert sorted(names) == [path.name for path in tars(out)]
    expected_keys, expected = [], set()
    for tar, name in enumerate(names):
        samples, _ = walked(out / name)
        assert info["shard_counts"][name] == len(samples)
        for number, (key, members) in enumerate(samples.items()):
            expected_keys.append((tar, key))
            expected |= {
                (tar, number, field.lower(), one.offset_data, one.size) for field, one in members
            }
    assert (keys, parts) == (expected_keys, expected)


def test_energon_knows_splits_and_kinds_of_samples(own, foreign):
    split, dataset = (
        [yaml.safe_load((out / f".nv-meta/{name}.yaml").read_text()) for out in (own, foreign)]
        for name in ("split", "dataset")
    )
    assert split[1]["split_parts"] == {"train": ["train-0.tar"], "val": ["val-0.tar"], "test": []}
    assert [part[:8] for part in split[0]["split_parts"]["train"]] == ["train-c0", "train-c1"]
    assert dataset[0]["field_map"] == {"image": "jpg", "label": "json[label]"}
    assert dataset[1]["__class__"] == "CrudeWebdataset"


def test_webshart_and_hfutils_find_every_member(out):
    for path in tars(out):
        samples, _ = walked(path)
        index = json.loads(path.with_suffix(".json").read_text())
        assert index["filesize"] == path.stat().st_size
        assert index["files"] == {
            one.name: {"offset": one.offset_data, "size": one.size}
            for members in samples.values()
            for _, one in members
        }


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="webshart has no wheel here"
)
def test_webshart_itself_reads_every_member(own):
    import webshart

    read = webshart.TarDataLoader(webshart.discover_dataset(str(own)))
    found = {one.path: bytes(one.data) for one in read}
    expected = {}
    for path in tars(own):
        with tarfile.open(path) as tar:
            expected |= {one.name: tar.extractfile(one).read() for one in tar}
    assert found == expected


def test_timm_and_open_clip_know_the_lengths(own, foreign):
    info = json.loads((own / "_info.json").read_text())["splits"]
    assert sorted(info) == ["train", "train-c0", "train-c1"]
    assert info["train-c0"]["num_samples"] == sum(info["train-c0"]["shard_lengths"]) == 28
    assert info["train"]["filenames"] == [path.name for path in tars(own)]
    assert json.loads((foreign / "sizes.json").read_text()) == {"train-0.tar": 2, "val-0.tar": 2}


def test_wids_gets_an_index_for_each_split_and_copy(own, foreign, tmp_path):
    for copy in (0, 1):
        samples = wids_samples(own / f"index-train-c{copy}.json", tmp_path / "cache")
        assert [one["__key__"] for one in samples] == [
            one["key"] for one in wdsremux.load(own, copy=copy)
        ]
    assert len(json.loads((foreign / "index-validation.json").read_text())["shardlist"]) == 1


def test_writing_them_again_changes_no_byte(own):
    def contents():
        paths = (path for path in own.rglob("*") if path.is_file())
        return {path.name: path.read_bytes() for path in paths if path.name != "lock"}

    before = contents()
    wdsremux.index(own, kinds=("energon", "dali", "webshart", "wids", "timm", "open_clip"))
    assert contents() == before


def test_a_name_that_dali_cannot_hold_is_refused(tmp_path):
    write_tar(tmp_path / "train-0.tar", sample("a b"))
    with pytest.raises(UsageError, match=r"cannot hold the name 'a b\.jpg' of 'train-0\.tar'"):
        wdsremux.index(tmp_path, kinds="dali")
    assert not (tmp_path / "train-0.idx").exists()


def test_kinds_are_named_or_all():
    assert kinds_from_text("webshart, dali") == ("dali", "webshart")
    assert kinds_from_text("all") == tuple(KINDS)
    with pytest.raises(UsageError, match="'dalli' is unknown; did you mean dali"):
        kinds_from_text("dalli")


def test_an_output_is_still_clean_and_loaded_beside_its_indexes(own):
    assert wdsremux.verify(own, "samples").findings == ()
