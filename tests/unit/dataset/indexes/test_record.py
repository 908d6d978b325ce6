"""The record of the indexes: what is written, renewed, removed, copied and checked by it."""

import json

import pytest
from support.readers import wids_samples
from support.runs import tree
from support.verified import copied, make_dataset, write_tar
from support.verified import sample as tar_sample

import wdsremux
from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.dataset.indexes.record import INDEXES_NAME, IndexRecord
from wdsremux.dataset.indexes.registry import KINDS

EVERY = ["wids", "dali", "energon", "webshart", "timm", "open_clip"]
INDEXES = ("index-train-c0.json", "train-c0-000000.idx", ".nv-meta/index.sqlite", "sizes.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return an output whose conversion wrote every index."""
    folder = tmp_path_factory.mktemp("made") / "out"
    return make_dataset(folder, rows=30, copies=2, index="all")


@pytest.fixture
def out(made, tmp_path):
    return copied(made, tmp_path / "out")


def record(out):
    return IndexRecord.from_bytes((out / INDEXES_NAME).read_bytes())


def findings(out, depth="bytes"):
    return [(one.code.code, one.shard) for one in wdsremux.verify(out, depth).findings]


def edited(out, change):
    path = out / INDEXES_NAME
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def test_a_conversion_writes_what_the_index_command_writes(made, tmp_path):
    later = make_dataset(tmp_path / "out", rows=30, copies=2)
    wdsremux.index(later, kinds="all")
    assert tree(later) == tree(made)
    assert [*record(made).kinds] == EVERY == [*KINDS]
    assert {*INDEXES} < {*record(made).files} < {*tree(made)}


def test_the_shards_and_the_manifest_do_not_depend_on_the_indexes(made, tmp_path):
    plain = tree(make_dataset(tmp_path / "out", rows=30, copies=2))
    with_all = tree(made)
    assert {name: with_all[name] for name in plain if name != INDEXES_NAME} == {
        name: sha256 for name, sha256 in plain.items() if name != INDEXES_NAME
    }


def test_wids_gets_an_index_for_each_series_without_being_asked(tmp_path):
    out = make_dataset(tmp_path / "out", rows=30, copies=2)
    for copy in (0, 1):
        found = wids_samples(out / f"index-train-c{copy}.json", tmp_path / "cache")
        assert [one["__key__"] for one in found] == [
            one["key"] for one in wdsremux.load(out, copy=copy)
        ]


def test_one_series_needs_no_other_index_than_the_manifest(tmp_path):
    out = make_dataset(tmp_path / "out", rows=12)
    assert not [*out.glob("index-*")]
    assert not (out / INDEXES_NAME).exists()


def test_an_unknown_kind_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match="index='dalli' is unknown; did you mean dali"):
        make_dataset(tmp_path / "out", rows=3, index="dalli")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("damage", ["removed", "cut", "edited"])
def test_an_index_that_is_damaged_is_found_and_renewed(made, out, name, damage):
    path = out / name
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    {
        "removed": path.unlink,
        "cut": lambda: path.write_bytes(data[:-1]),
        "edited": lambda: path.write_bytes(data),
    }[damage]()
    assert findings(out) == [("W124", name)]
    assert (findings(out, "entries") == []) is (damage == "edited")
    wdsremux.index(out)
    assert findings(out) == []
    assert tree(out) == tree(made)


def test_indexes_of_other_shards_are_found(out, tmp_path):
    other = make_dataset(tmp_path / "other", rows=20, copies=2, index="dali")
    (out / INDEXES_NAME).write_bytes((other / INDEXES_NAME).read_bytes())
    (finding,) = wdsremux.verify(out).findings
    assert finding.line("out").startswith("W124 error .wdsremux/indexes.json: an index for another")
    assert "the indexes wids, dali were not written for these shards" in finding.detail


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 9}', b'{"format": 1, "kinds": [3]}'])
def test_a_damaged_record_is_found_and_made_again_for_the_files_that_are_there(made, out, content):
    (out / INDEXES_NAME).write_bytes(content)
    with pytest.raises(CorruptDataError, match=INDEXES_NAME):
        IndexRecord.from_bytes(content)
    assert findings(out) == [("W124", INDEXES_NAME)]
    wdsremux.index(out)
    assert findings(out) == []
    assert tree(out) == tree(made)


def test_overwriting_removes_the_indexes_and_keeps_the_files_of_the_user(out):
    (out / "mine.json").write_text("{}")
    (out / ".nv-meta/mine.yaml").write_text("x: 1")
    make_dataset(out, rows=12, index="timm", overwrite=True)
    assert record(out).kinds == ("wids", "timm")
    left = {name for name in tree(out) if "wdsremux" not in name and not name.endswith(".tar")}
    assert left == {"README.md", "index.json", "_info.json", "mine.json", ".nv-meta/mine.yaml"}
    assert findings(out) == []


def test_a_hostile_record_names_no_file_that_is_removed_or_read(out):
    (out / "thesis.json").write_text("{}")
    edited(out, lambda raw: raw["files"].update({"thesis.json": [2, "0"], "../x": [2, "0"]}))
    assert findings(out) == [("W124", INDEXES_NAME)]
    make_dataset(out, rows=12, overwrite=True)
    assert (out / "thesis.json").exists()


def test_the_same_call_with_more_kinds_adds_their_files(tmp_path):
    out = make_dataset(tmp_path / "out", rows=12, index="timm")
    before = tree(out)
    make_dataset(out, rows=12, index=["open_clip"])
    added = {name for name in tree(out) if name not in before}
    assert added == {"sizes.json"}
    assert record(out).kinds == ("wids", "timm", "open_clip")
    make_dataset(out, rows=12)
    assert record(out).kinds == ("wids", "timm", "open_clip")


def test_a_shard_writers_output_has_a_card_and_can_be_indexed(tmp_path):
    from datasets import load_dataset

    with wdsremux.ShardWriter(tmp_path / "out", max_shard_samples=2) as shards:
        for number in range(3):
            shards.write({"__key__": f"k{number}", "json": {"label": number}, "txt": "a cat"})
    wdsremux.index(tmp_path / "out", kinds="all")
    assert findings(tmp_path / "out") == []
    rows = load_dataset(str(tmp_path / "out"), split="train", streaming=True)
    assert [row["json"]["label"] for row in rows] == [0, 1, 2]


def test_a_readme_beside_a_shard_writer_stays(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with wdsremux.ShardWriter(tmp_path) as shards:
        shards.write({"__key__": "a", "txt": "x"})
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_shard_whose_index_would_replace_the_manifest_is_refused(tmp_path):
    write_tar(tmp_path / "index.tar", tar_sample("a"))
    with pytest.raises(UsageError, match=r"would replace 'index\.json'"):
        wdsremux.index(tmp_path, kinds="webshart")
    assert json.loads((tmp_path / "index.json").read_text())["wids_version"] == 1
