"""Metadata files of a folder: rows and columns as imagefolder reads them, and files that are refused."""

import gc
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.sources import hugging_face_rows, our_rows, records, write_images

from wdsremux.core.columns import Column
from wdsremux.core.errors import SourceError
from wdsremux.sources.folder.source import open_folder

CSV = "file_name,text,n,f,flag,gap,empty\n2.png,hi,1,1.5,True,,\nsub/3.png,a b,2,2,False,5,\n"


# `datasets` leaves its own handle on the csv file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_metadata_csv_gives_the_rows_and_columns_of_imagefolder(tmp_path):
    root = write_images(tmp_path, ["x/1.png", "x/2.png", "x/sub/3.png"])
    (root / "x/metadata.csv").write_text(CSV)
    rows, features = hugging_face_rows(root, "train")

    assert our_rows(root, "train") == [(name, dict(row)) for name, row in rows]
    assert [c.name for c in open_folder(root).features()] == [*features, "file_name"]
    assert open_folder(root).features() == (
        Column("image", "image"),
        Column("text", "string"),
        Column("n", "int64"),
        Column("f", "float64"),
        Column("flag", "bool"),
        Column("gap", "int64"),
        Column("empty", "string"),
        Column("file_name", "string"),
    )
    gc.collect()  # here, where the warning is expected


def test_a_class_called_none_is_a_string_in_csv(tmp_path):
    root = write_images(tmp_path, ["1.png", "2.png"])
    (root / "metadata.csv").write_text("file_name,kind,n\n1.png,None,NA\n2.png,x,3\n")
    assert [row for _, row in our_rows(root, "train")] == [
        {"kind": "None", "n": None},
        {"kind": "x", "n": 3},
    ]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_metadata_with_nested_columns_is_as_in_imagefolder(tmp_path, ending):
    root = write_images(tmp_path, ["train/1.png", "train/2.png", "test/3.png"])
    for split, names in (("train", ["2.png", "1.png"]), ("test", ["3.png"])):
        table = [{"file_name": n, "boxes": [1.5, 2.0], "o": {"x": i}} for i, n in enumerate(names)]
        path = root / split / f"metadata.{ending}"
        if ending == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in table))
        else:
            pq.write_table(pa.Table.from_pylist(table), path)

    for split in ("train", "test"):
        assert our_rows(root, split) == hugging_face_rows(root, split)[0]
    assert Column("o", {"struct": {"x": "int64"}}) in open_folder(root).features()


def test_several_image_columns_of_metadata_can_each_be_read(tmp_path):
    root = write_images(tmp_path, ["a.png", "b.png"])
    (root / "metadata.csv").write_text("left_file_name,right_file_name\na.png,b.png\n")
    source = open_folder(root)

    assert [c.name for c in source.features() if c.dtype == "image"] == ["left", "right"]
    (record,) = records(source, image="right")
    assert record.image == (root / "b.png").read_bytes()


def test_a_split_without_metadata_keeps_its_images(tmp_path):
    root = write_images(tmp_path, ["train/1.png", "test/2.png"])
    (root / "train/metadata.csv").write_text("file_name,n\n1.png,7\n")
    assert our_rows(root, "train") == [("train/1.png", {"n": 7})]
    assert our_rows(root, "test") == [("test/2.png", {"n": None})]


@pytest.mark.parametrize(
    "name", ["nowhere.png", "../out.png", "/etc/hostname", "file:///etc/hostname", "a\0b.png"]
)
def test_a_metadata_row_whose_file_is_not_in_the_folder_is_a_problem(tmp_path, name):
    root = write_images(tmp_path / "f", ["1.png"])
    write_images(tmp_path, ["out.png"])
    (root / "metadata.jsonl").write_text(
        json.dumps({"file_name": name}) + '\n{"file_name": "1.png"}'
    )
    bad, good = records(open_folder(root))

    assert bad.image is None
    assert bad.problem
    assert (good.image, good.problem) == ((root / "1.png").read_bytes(), None)


def test_a_metadata_row_without_a_file_has_no_image(tmp_path):
    root = write_images(tmp_path, ["1.png"])
    (root / "metadata.csv").write_text("file_name,n\n,1\n1.png,2\n")
    assert [record.image is None for record in records(open_folder(root))] == [True, False]


@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [
        ("metadata.csv", "a,b\n1,2\n", "file_name"),
        ("metadata.csv", "file_name,a\n1.png,2,3\n", "3 cells"),
        ("metadata.csv", "file_name,a,a\n1.png,2,3\n", "same name"),
        ("metadata.jsonl", "{nonsense\n", "line 1 is not valid JSON"),
        ("metadata.jsonl", "[1]\n", "not a JSON object"),
        ("metadata.jsonl", "[" * 100_000, "metadata.jsonl"),
        ("metadata.parquet", "no parquet", "metadata.parquet"),
    ],
)
def test_invalid_metadata_is_named(tmp_path, name, text, arguments):
    root = write_images(tmp_path, ["1.png"])
    (root / name).write_text(text)
    with pytest.raises(SourceError, match=arguments):
        open_folder(root)


def test_metadata_of_two_kinds_is_refused(tmp_path):
    root = write_images(tmp_path, ["a/1.png", "b/1.png"])
    (root / "a/metadata.csv").write_text("file_name\n1.png\n")
    (root / "b/metadata.jsonl").write_text('{"file_name": "1.png"}\n')
    with pytest.raises(SourceError, match="different kinds"):
        open_folder(root)
