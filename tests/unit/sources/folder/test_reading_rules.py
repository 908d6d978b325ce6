"""What a folder holds is what is read: nothing is narrowed, mislabelled or left out silently."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from wdsremux.core.columns import Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.folder.source import open_folder


def write_images(root, *names):
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (number, 0, 0)).save(path, "PNG")
    return root


def rows(source, split="train"):
    extras = tuple(c for c in source.features() if c.dtype != "image")
    columns = Columns("image", None, extras, None)
    return [
        record for unit in source.units(split, columns, 0) for record in unit.read(0, unit.rows)
    ]


def names(source, split="train"):
    return [record.fields["file_name"] for record in rows(source, split)]


def test_a_class_called_train_is_not_a_split(tmp_path):
    source = open_folder(write_images(tmp_path, "bus/1.png", "car/1.png", "train/1.png"))
    assert source.splits() == {"train": 3}
    assert source.features()[1].class_names == ("bus", "car", "train")
    assert [record.fields["label"] for record in rows(source)] == [0, 1, 2]


def test_one_file_name_with_a_split_word_does_not_hide_the_others(tmp_path):
    source = open_folder(write_images(tmp_path, "a.png", "b.png", "c.png", "my test.png"))
    assert source.splits() == {"train": 4}


def test_images_beside_several_splits_are_counted_with_an_example(tmp_path):
    write_images(tmp_path, "train/1.png", "train/2.png", "test/1.png", "logo.png")
    source = open_folder(tmp_path)
    assert source.splits() == {"train": 2, "test": 1}
    assert source.notes() == ("1 image left out: not in a split, for example 'logo.png'",)


def test_files_without_an_image_extension_are_counted_with_an_example(tmp_path):
    write_images(tmp_path, "a.png")
    for name in ("IMG_2.HEIC", "photo.jpg?width=300", "123456789", "README.md", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    (note,) = open_folder(tmp_path).notes()
    assert note == "3 files left out: not an image by the extension, for example '123456789'"


@pytest.mark.parametrize("name", ["1000", "IMG_1.HEIC"])
def test_a_folder_without_images_names_the_files_it_has(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SourceError, match=f"1 other file, for example '{name}'"):
        open_folder(tmp_path)


def test_metadata_above_the_splits_applies_to_all_of_them(tmp_path):
    write_images(tmp_path, "train/0.png", "train/1.png", "test/2.png")
    lines = [
        {"file_name": f"{s}/{n}.png", "text": f"t{n}"}
        for n, s in [(2, "test"), (0, "train"), (1, "train"), (3, "extra")]
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = open_folder(tmp_path)
    assert source.splits() == {"train": 2, "test": 1}
    assert [r.fields["text"] for r in rows(source)] == ["t0", "t1"]
    assert [r.fields["text"] for r in rows(source, "test")] == ["t2"]
    (note,) = source.notes()
    assert note.startswith("1 row of 'metadata.jsonl' left out")


def test_a_metadata_file_that_repeats_its_folder_finds_the_images(tmp_path):
    write_images(tmp_path, "train/0.png", "train/1.png")
    (tmp_path / "train/metadata.csv").write_text("file_name\ntrain/0.png\ntrain/1.png\n")
    assert [r.problem for r in rows(open_folder(tmp_path))] == [None, None]


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("metadata1000.csv", "file_name,text\n1.png,x\n2.png,y\n"),
        ("metadata.json", '[{"file_name":"1.png","text":"x"},{"file_name":"2.png","text":"y"}]'),
        ("metadata.json", '{"file_name":"1.png","text":"x"}\n{"file_name":"2.png","text":"y"}'),
        ("metadata.json1", '{"file_name":"1.png","text":"x"}\n{"file_name":"2.png","text":"y"}'),
        ("train.tsv", "id\ttext\n1\tx\n2\ty\n"),
        ("labels.csv", "text,path\nx,1.png\ny,2.png\n"),
    ],
)
def test_a_table_that_names_the_images_may_have_any_name(tmp_path, table, content):
    write_images(tmp_path, "1.png", "2.png")
    (tmp_path / table).write_text(content)
    source = open_folder(tmp_path)
    assert [(r.problem, r.fields["text"], r.fields["file_name"]) for r in rows(source)] == [
        (None, "x", "1.png"),
        (None, "y", "2.png"),
    ]
    assert "names the images" in source.notes()[0]
    assert table in source.identity()["tables"]


def test_names_without_folder_or_extension_are_found_as_on_kaggle(tmp_path):
    write_images(tmp_path, "train_images/007.png", "train_images/8.png", "test_images/9.png")
    (tmp_path / "train.csv").write_text("image_id,label\n007,1\n8,0\n")
    (tmp_path / "sample_submission.csv").write_text("image_id,label\n5,0\n")
    source = open_folder(tmp_path)
    assert [(r.problem, r.fields["label"]) for r in rows(source)] == [(None, 1), (None, 0)]
    assert names(source) == ["train_images/007.png", "train_images/8.png"]
    assert names(source, "test") == ["test_images/9.png"]
    assert any("'sample_submission.csv'" in note for note in source.notes())


def test_a_table_that_does_not_name_the_images_is_reported(tmp_path):
    write_images(tmp_path, "1.png", "2.png")
    (tmp_path / "prices.csv").write_text("id,price\na,17\n")
    source = open_folder(tmp_path)
    assert source.splits() == {"train": 2}
    assert [c.name for c in source.features()] == ["image", "file_name"]
    assert "'prices.csv'" in source.notes()[0]


def test_an_empty_class_folder_keeps_the_numbers_of_the_others(tmp_path):
    write_images(tmp_path, "a/1.png", "c/1.png")
    (tmp_path / "b").mkdir()
    source = open_folder(tmp_path)
    assert source.features()[1].class_names == ("a", "b", "c")
    assert [record.fields["label"] for record in rows(source)] == [0, 2]


def test_links_may_lead_where_image_root_allows(tmp_path):
    write_images(tmp_path / "store", "0.png", "more/1.png")
    for name in ("cat", "dog"):
        (tmp_path / "d" / name).mkdir(parents=True)
        (tmp_path / "d" / name / "0.png").symlink_to(tmp_path / "store/0.png")
    (refused, _) = rows(open_folder(tmp_path / "d"))
    assert refused.problem.endswith("allow its folder with --image-root")
    (tmp_path / "d/more").symlink_to(tmp_path / "store/more")
    source = open_folder(tmp_path / "d", tmp_path / "store")
    assert [r.problem for r in rows(source)] == [None, None, None]
    assert [r.fields["label"] for r in rows(source)] == [0, 1, 2]


def test_a_loop_of_links_is_refused(tmp_path):
    write_images(tmp_path / "store/x", "1.png")
    write_images(tmp_path / "d", "2.png")
    (tmp_path / "store/x/again").symlink_to(tmp_path / "store")
    (tmp_path / "d/x").symlink_to(tmp_path / "store/x")
    with pytest.raises(SourceError, match="'x/again'"):
        open_folder(tmp_path / "d", tmp_path / "store")


def test_a_snapshot_of_the_hub_cache_is_read_through_its_links(tmp_path):
    repo = tmp_path / "datasets--u--n"
    snapshot = repo / "snapshots" / ("0" * 40)
    for name in ("a/1.png", "b/2.png"):
        blob = repo / "blobs" / name.replace("/", "-")
        blob.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(blob, "PNG")
        (snapshot / name).parent.mkdir(parents=True)
        (snapshot / name).symlink_to(os.path.relpath(blob, (snapshot / name).parent))
    assert [r.problem for r in rows(open_folder(snapshot))] == [None, None]


def test_paths_in_a_table_start_from_the_image_root(tmp_path):
    write_images(tmp_path / "images", "1.png")
    write_images(tmp_path / "d", "own.png")
    paths = ["1.png", str(tmp_path / "images/1.png"), "../outside.png"]
    (tmp_path / "d/metadata.csv").write_text("\n".join(["file_name", *paths]))
    found = rows(open_folder(tmp_path / "d", tmp_path / "images"))
    assert [r.problem is None for r in found] == [True, True, False]
    assert Path(found[0].fields["file_name"]).name == "1.png"


def test_images_that_the_metadata_does_not_list_are_counted(tmp_path):
    write_images(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "metadata.csv").write_text("file_name\n2.png\n2.png\n")
    source = open_folder(tmp_path)
    assert source.splits() == {"train": 2}
    assert source.notes() == ("2 images left out: not in the metadata, for example '1.png'",)
