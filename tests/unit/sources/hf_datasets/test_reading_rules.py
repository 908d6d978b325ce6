"""Tables, zips and saved datasets as users have them: paths elsewhere, foreign names, damage."""

import gc
import json
import struct
import zipfile
import zlib

import datasets
import pytest

from wdsremux.core.columns import Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.hf_datasets.loadable import open_loadable
from wdsremux.sources.hf_datasets.tables import open_saved

PNG = b"\x89PNG\r\n\x1a\n"

# `datasets` leaves handles of csv and zip files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def caches(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    yield
    gc.collect()  # here, where the warning is expected


def records(source, image="image"):
    extras = tuple(c for c in source.features() if c.dtype != "image")
    units = source.units("train", Columns(image, None, extras, None), 0)
    return [record for unit in units for record in unit.read(0, unit.rows)]


def test_paths_of_a_csv_start_from_the_image_root_and_are_bounded_by_it(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "tables").mkdir()
    for name in ("1.png", "ISIC_2.jpg"):
        (tmp_path / "images" / name).write_bytes(PNG)
    paths = ["1.png", "ISIC_2", str(tmp_path / "images/1.png"), "/etc/hostname"]
    table = tmp_path / "tables/train.csv"
    table.write_text("\n".join(["image_id,y", *(f"{each},1" for each in paths)]))
    found = records(open_loadable(table, image_root=tmp_path / "images"), "image_id")
    assert [record.image for record in found] == [PNG, PNG, PNG, None]
    assert "outside" in found[3].problem
    assert all(record.image is None for record in records(open_loadable(table), "image_id"))


def raw_zip(path, items):
    """Write a zip whose names have those bytes, without the flag of UTF-8."""
    body = directory = b""
    for name, data in items:
        head = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x21, zlib.crc32(data), len(data),
                           len(data), len(name), 0)  # fmt: skip
        directory += b"PK\1\2" + struct.pack("<H", 20) + head
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\3\4" + head + name + data
    counts = struct.pack("<HHHHIIH", 0, 0, len(items), len(items), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + counts)


@pytest.mark.parametrize(
    ("cat", "dog", "separator"),
    [("猫", "犬", "/"), ("cat", "dog", "\\")],
    ids=["UTF-8 without its flag", "backslashes"],
)
def test_class_folders_of_any_zip_are_labels(tmp_path, cat, dog, separator):
    names = [f"{each}{separator}1.png".encode() for each in (cat, dog)]
    raw_zip(tmp_path / "data.zip", [(name, PNG) for name in names])
    label = next(c for c in open_loadable(tmp_path).features() if c.name == "label")
    assert sorted(label.class_names) == sorted((cat, dog))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut", b"no zip at all" * 100])
def test_a_file_that_is_not_a_zip_is_an_error_of_the_source(tmp_path, content):
    (tmp_path / "data.zip").write_bytes(content)
    with pytest.raises(SourceError, match=r"'data\.zip' is incomplete or not a zip"):
        open_loadable(tmp_path)


def test_a_zip_that_is_cut_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("a/1.png", PNG)
    data = (tmp_path / "data.zip").read_bytes()
    (tmp_path / "data.zip").write_bytes(data[:-30])
    with pytest.raises(SourceError, match=r"data\.zip"):
        open_loadable(tmp_path)


def test_the_first_image_of_a_saved_list_is_read(tmp_path):
    features = datasets.Features({"images": datasets.Sequence(datasets.Image())})
    table = datasets.Dataset.from_dict({"images": [[PNG, b"x"], [PNG]]}, features=features)
    table.save_to_disk(tmp_path / "s")
    source = open_saved(tmp_path / "s")
    assert [record.image for record in records(source, "images")] == [PNG, PNG]
    units = source.units("train", Columns("images", None, (), None), 0)
    remarks = [record.remarks for unit in units for record in unit.read(0, unit.rows)]
    assert [count for each in remarks for _, count in each] == [1]


def test_a_saved_split_without_rows_is_reported(tmp_path):
    features = datasets.Features({"image": datasets.Image()})
    full, none = (datasets.Dataset.from_dict({"image": each}, features) for each in ([PNG], []))
    datasets.DatasetDict({"train": full, "test": none}).save_to_disk(tmp_path / "s")
    source = open_saved(tmp_path / "s")
    assert source.splits() == {"train": 1}
    assert source.notes() == ("splits without rows: test",)
    with pytest.raises(SourceError, match="has no rows"):
        open_saved(tmp_path / "s" / "test")


@pytest.mark.parametrize("name", ["../s", "/etc", "a/b"])
def test_a_split_of_a_saved_dataset_is_never_a_path(tmp_path, name):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    with pytest.raises(SourceError, match="cannot be called"):
        open_saved(tmp_path / "s")


def test_a_cache_that_datasets_writes_does_not_change_a_saved_dataset(tmp_path):
    table = datasets.Dataset.from_dict({"image": [PNG, PNG], "n": [1, 2]})
    table.save_to_disk(tmp_path / "s")
    source = open_saved(tmp_path / "s")
    before = source.identity()
    loaded = datasets.load_from_disk(tmp_path / "s")
    loaded.map(lambda row: {"n": row["n"] + 1}, cache_file_name=str(tmp_path / "s/cache-1.arrow"))
    assert (tmp_path / "s/cache-1.arrow").exists()
    assert open_saved(tmp_path / "s").identity() == before
    assert [record.image for record in records(source)] == [PNG, PNG]
