"""Inputs from bug reports of people who do this job, each with what must be read from it."""

import io
import os
import tarfile

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.runs import convert, entries, wdsremux

from wdsremux.core.column_choice import ColumnOptions, choose_columns
from wdsremux.core.errors import SourceError
from wdsremux.core.recipe import Recipe, Run
from wdsremux.sources.registry import parse

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def png(number):
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


def put(root, **files):
    """Write files; "a__b" is the path a/b, and a number is an image."""
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(content) if isinstance(content, int) else content.encode())
    return root


class Read:
    """What is read of a source."""

    def __init__(self, location, split="train", **options):
        recipe = Recipe.from_options(options)
        source = parse(str(location), recipe).open(recipe, Run(give_up_after=30.0))
        named = ColumnOptions(image=recipe.image_column)
        self.columns = choose_columns(source.features(), named, has_function=False)
        self.notes = source.notes()
        self.splits = list(source.splits())
        units = source.units(split, self.columns, 0)
        self.records = [r for unit in units for r in unit.read(0, unit.rows)]

    @property
    def reds(self):
        """The first value of each image, by which the test knows it."""
        images = [Image.open(io.BytesIO(r.image)) if r.image else None for r in self.records]
        return [image and image.getpixel((0, 0))[0] for image in images]

    def values(self, name):
        return [record.fields[name] for record in self.records]

    @property
    def classes(self):
        names = self.columns.label.class_names
        return [names[number] for number in self.values(self.columns.label.name)]


def test_an_empty_class_folder_keeps_the_numbers_of_the_others(tmp_path):
    put(tmp_path, train__a__1_dot_png=1, train__b__1_dot_png=2, train__c__1_dot_png=3)
    put(tmp_path, val__a__1_dot_png=4, val__c__1_dot_png=5)
    (tmp_path / "val/b").mkdir()
    assert Read(tmp_path, "validation").values("label") == [0, 2]
    assert Read(tmp_path / "val").values("label") == [0, 2]


def test_class_folders_of_which_one_is_called_train_are_classes(tmp_path):
    put(tmp_path, bus__1_dot_png=1, car__1_dot_png=2, train__1_dot_png=3)
    assert Read(tmp_path).classes == ["bus", "car", "train"]


def test_one_metadata_file_above_the_splits_serves_them_all(tmp_path):
    put(tmp_path, train__0_dot_png=0, train__1_dot_png=1, test__2_dot_png=2)
    lines = [
        f'{{"file_name": "{s}/{n}.png", "t": "c{n}"}}'
        for n, s in enumerate(("train", "train", "test"))
    ]
    put(tmp_path, metadata_dot_jsonl="\n".join(lines))
    assert Read(tmp_path).values("t") == ["c0", "c1"]
    assert Read(tmp_path, "test").values("t") == ["c2"]


def test_metadata_that_repeats_its_folder_and_unlisted_images(tmp_path):
    put(tmp_path, train__0_dot_png=0, train__1_dot_png=1, train__2_dot_png=2)
    lines = [f'{{"file_name": "train/{n}.png", "t": "c{n}"}}' for n in (0, 1)]
    put(tmp_path, train__metadata_dot_jsonl="\n".join(lines))
    found = Read(tmp_path)
    assert (found.reds, found.values("t")) == ([0, 1], ["c0", "c1"])
    assert any("1 image left out: not in the metadata" in note for note in found.notes)


@pytest.mark.parametrize("suffix", ["", ".png"])
def test_a_table_of_kaggle_beside_its_images(tmp_path, suffix):
    put(tmp_path, train_images__I100_dot_png=0, train_images__I101_dot_png=1)
    put(tmp_path, train_dot_csv=f"image_id,dx\nI101{suffix},x\nI100{suffix},y\n")
    assert (Read(tmp_path).reds, Read(tmp_path).values("dx")) == ([1, 0], ["x", "y"])
    given = Read(
        tmp_path / "train.csv", image_root=tmp_path / "train_images", image_column="image_id"
    )
    assert (given.reds, given.values("dx")) == ([1, 0], ["x", "y"])


def test_annotations_that_are_not_used_are_named(tmp_path):
    put(tmp_path, train2017__1_dot_png=1, annotations__instances_dot_json='{"images": []}')
    assert any("annotations/instances.json" in note for note in Read(tmp_path).notes)


def test_linked_images_are_read_within_the_root_that_is_named(tmp_path):
    put(tmp_path / "store", a_dot_png=5)
    for name in ("cat", "dog"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "1.png").symlink_to(tmp_path / "store/a.png")
    assert Read(tmp_path / "in").reds == [None, None]
    assert "--image-root" in Read(tmp_path / "in").records[0].problem
    assert Read(tmp_path / "in", image_root=tmp_path / "store").reds == [5, 5]


def test_files_of_other_kinds_are_counted_once(tmp_path):
    put(tmp_path, a_dot_png=1)
    for name in ("b.HEIC.txt", "c.jpg?width=300", "d", "e.npy", "f.dcm"):
        (tmp_path / name).write_bytes(png(1))
    (note,) = Read(tmp_path).notes
    assert note.startswith("5 files left out: not an image by the extension")


def test_files_of_one_folder_that_differ_in_their_columns(tmp_path):
    one = {"image": [png(0)], "label": [0], "note": pa.nulls(1), "score": [1]}
    two = {"image": [png(1)], "label": [1], "note": ["x"], "score": [0.5], "late": ["y"]}
    pq.write_table(pa.table(one), tmp_path / "data-0.parquet")
    pq.write_table(pa.table(two), tmp_path / "data-1.parquet")
    found = Read(tmp_path)
    assert found.values("note") == [None, "x"]
    assert found.values("score") == [1.0, 0.5]
    assert found.values("late") == [None, "y"]


def test_types_that_have_nothing_in_common_are_refused_with_both_files(tmp_path):
    for number, value in enumerate((1999, "c. 1880")):
        table = pa.table({"image": [png(number)], "date": [value]})
        pq.write_table(table, tmp_path / f"data-{number}.parquet")
    with pytest.raises(SourceError, match=r"'date' is int64 in 'data-0\.parquet' and string in"):
        Read(tmp_path)


def tar_of(path, **members):
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            data = png(content) if isinstance(content, int) else content.encode()
            info = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_members_without_a_common_key_are_said_to_have_none(tmp_path):
    path = tar_of(tmp_path / "a.tar", s0__in_dot_png=1, s0__info_dot_json='{"label": 1}')
    assert any("common key" in note for note in Read(path).notes)


def test_columns_named_like_ours_are_read_back_by_every_reader(tmp_path, monkeypatch):
    names = ("label_name", "width", "height", "position", "copy", "json", "jpg", "__key__", "key")
    rows = {name: [f"{name}{n}" for n in range(2)] for name in names}
    pq.write_table(pa.table({"image": [png(1), png(2)], **rows}), tmp_path / "x.parquet")
    convert(tmp_path / "x.parquet", tmp_path / "out", "--format", "png")
    (first, _) = entries(tmp_path / "out")
    assert {name: first.get(f"source_{name}", first.get(name)) for name in names} == {
        name: f"{name}0" for name in names
    }
    assert (first["width"], first["position"]) == (4, 0)
    assert wdsremux("verify", tmp_path / "out", "--depth", "pixels").returncode == 0
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    table = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert table[1]["json"]["source_width"] == "width1"


def test_values_without_a_common_type_are_read_back_by_every_reader(tmp_path, monkeypatch):
    put(tmp_path / "in", a_dot_png=1, b_dot_png=2)
    lines = '{"file_name": "a.png", "n": 1}\n{"file_name": "b.png", "n": [2]}\n'
    put(tmp_path / "in", metadata_dot_jsonl=lines)
    convert(tmp_path / "in", tmp_path / "out", "--extra-columns", "n", "--format", "png")
    assert [entry["n"] for entry in entries(tmp_path / "out")] == ["1", "[2]"]
    assert wdsremux("verify", tmp_path / "out", "--depth", "samples").returncode == 0
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    table = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert [row["json"]["n"] for row in table] == ["1", "[2]"]


def test_names_that_are_not_utf_8_are_shown_as_their_bytes(tmp_path):
    folder = os.fsencode(tmp_path) + b"/cl\xff"
    os.mkdir(folder)  # noqa: PTH102 (bytes)
    with open(folder + b"/1.png", "wb") as file:  # noqa: PTH123 (bytes)
        file.write(png(1))
    put(tmp_path, ok__1_dot_png=2)
    assert Read(tmp_path).classes == ["cl\\xff", "ok"]
