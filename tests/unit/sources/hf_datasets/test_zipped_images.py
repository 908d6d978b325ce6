"""Zips of images: names in any encoding, hostile names, splits, and what is left out."""

import struct
import zipfile
import zlib

import pytest

from wdsremux.core.columns import Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.hf_datasets.loadable import open_loadable

pytestmark = [
    # `datasets` leaves handles of zip files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PNG = b"\x89PNG\r\n\x1a\n"


def raw_zip(path, names):
    """Write a zip whose names have those bytes, without the flag of UTF-8."""
    body = directory = b""
    for name in names:
        data = PNG + name
        head = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x21, zlib.crc32(data), len(data),
                           len(data), len(name), 0)  # fmt: skip
        directory += b"PK\1\2" + struct.pack("<H", 20) + head
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\3\4" + head + name + data
    counts = struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + counts)


def written(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, PNG + name.encode() if not name.endswith("/") else b"")


def rows(source, split="train"):
    """Return (name in the image, class name) of each row."""
    label = next((c for c in source.features() if c.name == "label"), None)
    columns = Columns("image", label, (), None)
    records = [r for unit in source.units(split, columns, 0) for r in unit.read(0, unit.rows)]
    names = label.class_names if label else ()
    return [
        (r.image.removeprefix(PNG), names[r.fields["label"]] if label else None) for r in records
    ]


@pytest.mark.parametrize(
    ("encoding", "classes"),
    [
        ("gbk", ["狗", "猫"]),
        ("shift_jis", ["ソ", "表"]),
        ("cp437", ["bäume", "vögel"]),
        ("euc_kr", ["개", "고양이"]),
    ],
)
def test_names_in_another_encoding_are_decoded_by_the_option(tmp_path, encoding, classes):
    raw_zip(
        tmp_path / "z.zip", [f"{name}/{n}.png".encode(encoding) for name in classes for n in "01"]
    )
    source = open_loadable(tmp_path, zip_encoding=encoding)
    assert source.notes() == ()
    found = rows(source)
    assert {(image.rpartition(b"/")[0].decode(encoding), name) for image, name in found} == {
        (name, name) for name in classes
    }
    assert len(found) == 4


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis", "cp437"])
def test_names_that_cannot_be_decoded_are_said_to_be_once_with_the_option(tmp_path, encoding):
    classes = {"gbk": ["狗", "猫"], "shift_jis": ["ソ", "表"], "cp437": ["ä", "ö"]}[encoding]
    raw_zip(tmp_path / "z.zip", [f"{name}/0.png".encode(encoding) for name in classes])
    source = open_loadable(tmp_path)
    (note,) = source.notes()
    assert "2 names in 'z.zip' cannot be decoded" in note
    assert "--zip-encoding" in note
    assert {name for _, name in rows(source)} == {
        name.encode(encoding).decode("ascii", "backslashreplace") for name in classes
    }


def test_an_encoding_that_does_not_fit_is_refused(tmp_path):
    raw_zip(tmp_path / "z.zip", [b"\xff\xff/1.png", b"\xfe\xfe/1.png"])
    with pytest.raises(SourceError, match="--zip-encoding utf-8 does not fit"):
        open_loadable(tmp_path, zip_encoding="utf-8")


def test_a_name_that_is_utf_8_by_chance_does_not_decide_the_encoding(tmp_path):
    names = ["猫/1.png".encode("gbk"), "狗/1.png".encode("gbk")]
    assert names[0].decode()  # valid, and another character
    raw_zip(tmp_path / "z.zip", names)
    assert "cannot be decoded" in open_loadable(tmp_path).notes()[0]


def test_hostile_names_are_only_names(tmp_path):
    written(tmp_path / "z.zip", "../../x/1.png", "/abs/2.png", "a/3.png")
    assert sorted(rows(open_loadable(tmp_path))) == [
        (b"../../x/1.png", "x"),
        (b"/abs/2.png", "abs"),
        (b"a/3.png", "a"),
    ]


def test_folders_of_splits_in_a_zip_are_splits_and_have_the_same_labels(tmp_path):
    names = ["train/cat/1.png", "train/dog/1.png", "test/dog/2.png", "val/cat/3.png"]
    written(tmp_path / "z.zip", *names)
    source = open_loadable(tmp_path)
    assert source.splits() == {"train": 2, "validation": 1, "test": 1}
    assert [name for _, name in rows(source)] == ["cat", "dog"]
    assert rows(source, "test") == [(b"test/dog/2.png", "dog")]


def test_a_class_folder_called_train_stays_a_class(tmp_path):
    written(tmp_path / "z.zip", "bus/1.png", "train/1.png", "car/1.png")
    source = open_loadable(tmp_path)
    assert source.splits() == {"train": 3}
    assert [name for _, name in rows(source)] == ["bus", "car", "train"]


def test_a_class_folder_without_images_keeps_its_number(tmp_path):
    written(tmp_path / "z.zip", "a/1.png", "b/", "c/1.png")
    label = open_loadable(tmp_path).features()[1]
    assert label.class_names == ("a", "b", "c")


def test_files_that_are_not_images_are_counted(tmp_path):
    written(tmp_path / "z.zip", "a/1.png", "b/1.png", "b/1.npy", "b/2.pth", "README.md")
    (note,) = open_loadable(tmp_path).notes()
    assert note == (
        "2 files in zips left out: not an image by the extension, for example 'b/1.npy'"
    )


def test_a_zip_of_zips_is_refused_with_what_to_do(tmp_path):
    written(tmp_path / "z.zip", "a.zip", "b.zip")
    with pytest.raises(SourceError, match=r"'z\.zip' holds no images.*2 files.*unpack"):
        open_loadable(tmp_path)


def test_rows_begin_where_they_are_asked_to(tmp_path):
    written(tmp_path / "z.zip", *(f"{c}/{n}.png" for c in "ab" for n in range(3)))
    source = open_loadable(tmp_path)
    columns = Columns("image", None, (), None)
    (unit,) = source.units("train", columns, 4)
    assert unit.first == 4
    assert [record.image[8:] for record in unit.read(0, 2)] == [b"b/1.png", b"b/2.png"]
