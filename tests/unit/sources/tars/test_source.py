"""Tars as a source: their splits and index, their units, and archives that are damaged."""

import gc
import json
import pickle

import pytest
import webdataset
from support.sources import all_columns, numbered, records, write_tar

from wdsremux.core.errors import SourceError
from wdsremux.sources.tars import source as tars
from wdsremux.sources.tars.source import open_tars


@pytest.fixture
def shards(tmp_path):
    for number, rows in enumerate([5, 0, 300]):
        write_tar(tmp_path / f"train-{number:06}.tar", numbered(number * 1000, rows))
    write_tar(tmp_path / "validation-000000.tar", numbered(9000, 3))
    return tmp_path


# webdataset leaves its own handles to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_samples_are_those_the_webdataset_library_reads(shards):
    ours = records(open_tars(shards))
    urls = [str(path) for path in sorted(shards.glob("train-*.tar"))]
    theirs = list(webdataset.WebDataset(urls, shardshuffle=False))

    assert [record.fields["key"] for record in ours] == [s["__key__"] for s in theirs]
    assert [record.image for record in ours] == [s["jpg"] for s in theirs]
    assert [record.fields["label"] for record in ours] == [
        json.loads(s["json"])["label"] for s in theirs
    ]
    gc.collect()  # here, where the warning is expected


@pytest.mark.parametrize("start", [0, 4, 5, 6, 260, 261, 304])
@pytest.mark.parametrize("is_indexed", [True, False])
def test_units_cover_every_sample_once_from_any_start(shards, start, is_indexed):
    if is_indexed:
        write_index(shards, {"train-000000.tar": 5, "train-000001.tar": 0, "train-000002.tar": 300})
    source = open_tars(shards)
    whole = records(source)
    units = list(source.units("train", all_columns(source), start))

    assert [record.position for record in whole] == list(range(305))
    assert all(unit.rows <= 256 for unit in units)
    assert units[0].first <= start < units[0].first + units[0].rows
    assert records(source, start=start) == whole[start:]


def test_a_unit_is_bounded_in_bytes_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tars, "UNIT_BYTES", 4096)
    write_tar(tmp_path / "a.tar", numbered(0, 5))
    source = open_tars(tmp_path)
    units = list(source.units("train", all_columns(source), 0))
    assert [unit.rows for unit in units] == [2, 2, 1]
    assert all(unit.size_bytes <= 4096 for unit in units)
    assert [record.position for unit in units for record in unit.read(0, unit.rows)] == [*range(5)]


def test_a_unit_pickles_small_and_reads_any_part_of_itself(shards):
    write_index(shards, {}, class_names=[f"class {i}" for i in range(20_000)])
    source = open_tars(shards)
    unit = list(source.units("train", all_columns(source), 0))[1]
    copy = pickle.loads(pickle.dumps(unit))
    assert len(pickle.dumps(unit)) < 2000
    assert list(copy.read(200, 203)) == list(unit.read(0, unit.rows))[200:203]


def test_patterns_with_braces_globs_folders_and_one_tar_open(shards):
    assert list(open_tars(shards / "train-{000000..000002}.tar").splits()) == ["train"]
    assert len(records(open_tars(str(shards / "train-{000002,000000}.tar")))) == 305
    assert records(open_tars(shards / "train-{000002,000000}.tar"))[0].image == b"image 2000"
    assert len(records(open_tars(str(shards / "train-*.tar")))) == 305
    assert len(records(open_tars(shards / "validation-000000.tar"), "validation")) == 3
    assert list(open_tars(shards).splits()) == ["train", "validation"]


def test_an_existing_name_with_braces_is_not_a_pattern(tmp_path):
    write_tar(tmp_path / "a{0..1}[x].tar", numbered(0, 2))
    assert len(records(open_tars(tmp_path / "a{0..1}[x].tar"))) == 2


@pytest.mark.parametrize(
    ("pattern", "arguments"),
    [
        ("train-{000000..000003}.tar", r"train-000003.tar"),
        ("none-*.tar", "no file"),
        ("train-{0.tar", "braces"),
    ],
)
def test_a_pattern_that_finds_too_little_names_what_is_missing(shards, pattern, arguments):
    with pytest.raises(SourceError, match=arguments):
        open_tars(shards / pattern)


def test_a_folder_without_tars_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"no \.tar"):
        open_tars(tmp_path)


def test_tars_without_a_split_in_their_names_are_train(tmp_path):
    write_tar(tmp_path / "b.tar", numbered(10, 1))
    write_tar(tmp_path / "a.tar", numbered(0, 1))
    assert [r.image for r in records(open_tars(tmp_path))] == [b"image 0", b"image 10"]


def test_tars_of_which_some_name_no_split_are_refused(shards):
    write_tar(shards / "extra-000000.tar", numbered(0, 1))
    with pytest.raises(SourceError, match="extra-000000"):
        open_tars(shards)


def test_an_unknown_split_is_named_with_those_there_are(shards):
    source = open_tars(shards)
    with pytest.raises(SourceError, match=r"'test'.*train, validation; name one"):
        next(source.units("test", all_columns(source), 0))


def write_index(folder, counts, **more):
    shardlist = [{"url": name, "nsamples": rows} for name, rows in counts.items()]
    (folder / "index.json").write_text(json.dumps({"shardlist": shardlist, **more}))


def test_an_index_supplies_the_numbers_of_rows(shards):
    assert open_tars(shards).splits() == {"train": None, "validation": None}
    write_index(shards, {"train-000000.tar": 5, "train-000001.tar": 0, "train-000002.tar": 300})
    assert open_tars(shards).splits() == {"train": 305, "validation": None}


def test_an_index_that_is_wrong_is_an_error(shards):
    write_index(shards, {"train-000000.tar": 6})
    with pytest.raises(SourceError, match=r"lists 6 samples in 'train-000000.tar', but it holds 5"):
        records(open_tars(shards))


def test_a_folder_without_a_shard_that_its_index_lists_is_refused(shards):
    write_index(shards, {"train-000000.tar": 5, "train-000009.tar": 2, "shards/train-7.tar": 1})
    text = (
        r"lists 2 shards that the folder lacks: 'train-000009.tar', 'train-7.tar'; copy them there"
    )
    with pytest.raises(SourceError, match=text):
        open_tars(shards)
    assert len(records(open_tars(shards / "train-*.tar"))) == 305


def test_an_index_without_numbers_of_samples_still_lists_shards(shards):
    shardlist = [{"url": f"train-{number:06}.tar"} for number in range(2, 30)]
    (shards / "index.json").write_text(json.dumps({"shardlist": shardlist}))
    with pytest.raises(SourceError, match=r"lists 27 shards .*'train-000007.tar' and 22 more;"):
        open_tars(shards)


def test_shards_that_an_index_lists_at_a_url_may_be_missing(shards):
    write_index(shards, {"https://host/train-000008.tar?token=x": 5})
    assert len(records(open_tars(shards))) == 305


@pytest.mark.parametrize("names", [["cat", "dog", "bird"], {"label": ["cat", "dog", "bird"]}])
def test_class_names_come_from_the_own_index(shards, names):
    write_index(shards, {}, class_names=names)
    label = next(c for c in open_tars(shards).features() if c.name == "label")
    assert label.class_names == ("cat", "dog", "bird")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"shardlist": 3}',
        '{"shardlist": [{"url": 1, "nsamples": "x"}]}',
        '{"shardlist": [1]}',
    ],
)
def test_an_index_of_another_format_is_ignored(shards, text):
    (shards / "index.json").write_text(text)
    assert open_tars(shards).splits()["train"] is None


@pytest.mark.parametrize("length", [0, 100, 700])
def test_a_tar_that_is_cut_off_is_refused_before_work_begins(shards, length):
    path = shards / "train-000002.tar"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SourceError, match=r"'train-000002.tar' is not a complete tar"):
        open_tars(shards)


def test_tars_put_together_by_cat_are_refused_by_name(tmp_path):
    path = write_tar(tmp_path / "train-0.tar", numbered(0, 5))
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(SourceError, match=r"'train-0\.tar' contains another archive"):
        records(open_tars(tmp_path))


def test_a_tar_damaged_inside_stops_with_its_name_and_offset(shards):
    path = shards / "train-000002.tar"
    data = bytearray(path.read_bytes())
    data[2048:2560] = b"\xff" * 512
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"'train-000002.tar' is damaged at offset 2048"):
        records(open_tars(shards))


def test_a_tar_that_shrinks_after_it_was_cut_into_units_is_an_error(tmp_path):
    path = write_tar(tmp_path / "a.tar", numbered(0, 20))
    source = open_tars(path)
    (unit,) = source.units("train", all_columns(source), 0)
    write_tar(path, numbered(0, 3))
    with pytest.raises(SourceError, match="fewer samples"):
        list(unit.read(0, 20))
    path.unlink()
    with pytest.raises(SourceError, match="cannot read the tar"):
        list(unit.read(0, 20))


def test_the_identity_names_every_tar_with_its_size_and_no_folder(shards, tmp_path):
    identity = open_tars(shards).identity()
    assert identity["kind"] == "tars"
    assert identity["files"][0] == {
        "split": "train",
        "name": "train-000000.tar",
        "bytes": (shards / "train-000000.tar").stat().st_size,
    }
    assert str(tmp_path) not in json.dumps(identity)
