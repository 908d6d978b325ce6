import gc
import io
import json
import pickle
import tarfile

import pytest
import webdataset

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.tars import source as tars
from wdsremux.sources.tars.source import open_tars


def write_tar(path, samples):
    """Write samples: (key, {field: content})."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in samples:
            for field, content in members.items():
                info = tarfile.TarInfo(f"{key}.{field}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def numbered(first, rows, **extra):
    return [
        (
            f"{i:06}",
            {"jpg": b"image %d" % i, "json": json.dumps({"label": i % 3, **extra}).encode()},
        )
        for i in range(first, first + rows)
    ]


def all_columns(source, image="image"):
    return Columns(image, None, tuple(c for c in source.features() if c.dtype != "image"), None)


def records(source, split="train", start=0, image="image"):
    found = []
    for unit in source.units(split, all_columns(source, image), start):
        found += unit.read(0, unit.rows)
    return [record for record in found if record.position >= start]


def names(source):
    return {column.name: column.dtype for column in source.features()}


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


def test_a_name_with_braces_that_exists_is_no_pattern(tmp_path):
    write_tar(tmp_path / "a{0..1}[x].tar", numbered(0, 2))
    assert len(records(open_tars(tmp_path / "a{0..1}[x].tar"))) == 2


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("train-{000000..000003}.tar", r"train-000003.tar"),
        ("none-*.tar", "no file"),
        ("train-{0.tar", "braces"),
    ],
)
def test_a_pattern_that_finds_too_little_names_what_is_missing(shards, pattern, words):
    with pytest.raises(SourceError, match=words):
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


def test_an_index_gives_the_numbers_of_rows(shards):
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


def test_shards_that_an_index_lists_behind_a_url_need_not_be_there(shards):
    write_index(shards, {"https://host/train-000008.tar?token=x": 5})
    assert len(records(open_tars(shards))) == 305


@pytest.mark.parametrize("names", [["cat", "dog", "bird"], {"label": ["cat", "dog", "bird"]}])
def test_class_names_come_from_our_own_index(shards, names):
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
def test_an_index_of_another_form_is_passed_over(shards, text):
    (shards / "index.json").write_text(text)
    assert open_tars(shards).splits()["train"] is None


def test_the_keys_of_json_are_columns_with_their_types(tmp_path):
    rows = [{"a": 1, "b": None, "c": ["x"]}, {"a": 1.5, "b": "x", "d": {"e": True}}]
    samples = [(str(i), {"jpg": b"", "json": json.dumps(r).encode()}) for i, r in enumerate(rows)]
    source = open_tars(write_tar(tmp_path / "a.tar", samples))

    assert names(source) == {
        "image": "image",
        "a": "float64",
        "b": "string",
        "c": {"list": "string"},
        "d": {"struct": {"e": "bool"}},
        "key": "string",
    }
    assert records(source)[1].fields == {**rows[1], "c": None, "key": "1"}


def test_other_members_are_columns_by_their_suffix(tmp_path):
    members = {
        "jpg": b"i",
        "cls": b"7\n",
        "txt": "é".encode(),
        "caption.txt": b"c",
        "key.txt": b"d",
        "id": b"12",
        "meta.json": b'{"x": 1}',
        "npy": b"\x93NUMPY",
        "mp4": b"no image",
    }
    source = open_tars(write_tar(tmp_path / "a.tar", [("k", members)]))
    (record,) = records(source)
    assert record.fields == {
        "label": 7,
        "txt": "é",
        "caption": "c",
        "key_txt": "d",
        "id": 12,
        "meta": {"x": 1},
        "key": "k",
    }


def test_a_json_that_is_no_object_is_one_column(tmp_path):
    source = open_tars(write_tar(tmp_path / "a.tar", [("k", {"jpg": b"", "json": b"[1, 2]"})]))
    assert names(source)["json"] == {"list": "int64"}
    assert records(source)[0].fields["json"] == [1, 2]


def test_a_json_key_called_like_a_member_gets_another_name(tmp_path):
    members = {"jpg": b"i", "cls": b"1", "json": b'{"label": 2, "image": 3, "key": 4}'}
    (record,) = records(open_tars(write_tar(tmp_path / "a.tar", [("k", members)])))
    assert record.image == b"i"
    assert record.fields == {
        "label": 1,
        "json_label": 2,
        "json_image": 3,
        "json_key": 4,
        "key": "k",
    }


def test_one_image_under_varying_suffixes_is_one_column(tmp_path):
    samples = [
        ("a", {"jpg": b"1"}),
        ("b", {"PNG": b"2"}),
        ("c", {"jpeg": b"3"}),
        ("d", {"txt": b""}),
    ]
    found = records(open_tars(write_tar(tmp_path / "a.tar", samples)))
    assert [record.image for record in found] == [b"1", b"2", b"3", None]


def test_a_mask_beside_the_image_is_another_column(tmp_path):
    members = {"jpg": b"i", "seg.png": b"s", "json": b"{}"}
    source = open_tars(write_tar(tmp_path / "a.tar", [("k", members)]))
    assert [c for c in source.features() if c.dtype == "image"] == [
        Column("image", "image"),
        Column("seg", "image"),
    ]
    assert records(source, image="seg")[0].image == b"s"


def test_two_bare_images_in_one_sample_are_two_columns(tmp_path):
    samples = [("a", {"jpg": b"1"}), ("b", {"jpg": b"2", "png": b"3"})]
    source = open_tars(write_tar(tmp_path / "a.tar", samples))
    assert [n for n, dtype in names(source).items() if dtype == "image"] == ["jpg", "png"]
    assert [r.image for r in records(source, image="png")] == [None, b"3"]


@pytest.mark.parametrize(
    "member",
    [
        {"json": b"{broken"},
        {"json": b"[" * 200_000},
        {"json": b"\xff\xfe"},
        {"cls": b"seven"},
        {"cls": b"9" * 5000},
        {"txt": b"\xff"},
    ],
)
def test_a_member_that_is_not_what_its_name_says_is_a_problem_of_its_sample(tmp_path, member):
    good = {"jpg": b"i", "json": b'{"a": 1}', "cls": b"1", "txt": b"t"}
    samples = [("a", good), ("b", {**good, **member}), ("c", good)]
    found = records(open_tars(write_tar(tmp_path / "a.tar", samples)))
    assert [bool(record.problem) for record in found] == [False, True, False]
    assert "'b'" in found[1].problem


def test_a_broken_first_sample_does_not_hide_the_columns(tmp_path):
    samples = [("a", {"jpg": b"", "json": b"{"}), ("b", {"jpg": b"", "json": b'{"x": 1}'})]
    assert names(open_tars(write_tar(tmp_path / "a.tar", samples)))["x"] == "int64"


def test_a_row_knows_its_tar_and_its_sample(tmp_path):
    samples = [("a", {"jpg": b"i", "cls": b"1"}), ("x/b", {"jpg": b"i", "cls": b"no number"})]
    found = records(open_tars(write_tar(tmp_path / "a.tar", samples)))
    assert [r.location for r in found] == ["'a.tar', sample 'a'", "'a.tar', sample 'x/b'"]


def test_members_nobody_wants_are_not_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a", {"jpg": b"i", "json": b"{broken", "txt": b"\xff"})])
    source = open_tars(path)
    (unit,) = source.units("train", Columns("image", None, (), None), 0)
    (record,) = unit.read(0, 1)
    assert (record.image, record.fields, record.problem) == (b"i", {}, None)


def test_a_huge_member_is_a_problem_and_not_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a", {"jpg": b""}), ("b", {"jpg": b"i"})])
    with path.open("r+b") as file:  # a hole of 2 GiB on the disk
        tail = path.read_bytes()[512:]
        info = tarfile.TarInfo("a.jpg")
        info.size = 2 << 30
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.seek(512 + info.size)
        file.write(tail)
    big, small = records(open_tars(path))
    assert "1 GiB" in big.problem
    assert small.image == b"i"


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


def test_names_with_dots_that_leave_no_image_column_are_told_as_such(tmp_path):
    path = tmp_path / "dotted.tar"
    write_tar(path, [(f"{i}.v2", {"jpg": b"image", "json": b"{}"}) for i in range(3)])
    with pytest.raises(SourceError, match=r"names have dots .* for example 'v2\.jpg', .* W501"):
        open_tars(path)
    write_tar(path, [(f"{i}", {"seg.png": b"image", "json": b"{}"}) for i in range(3)])
    assert "seg" in names(open_tars(path))
