"""Images in other forms than bytes: lists, base64, and links of a Hub cache snapshot."""

import base64
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wdsremux.core.columns import Columns
from wdsremux.sources.parquet.local import open_parquet

JPEGS = [b"\xff\xd8\xff" + bytes([n]) * 99 for n in range(3)]
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def opened(folder, **columns):
    pq.write_table(pa.table(columns), folder / "x.parquet")
    return open_parquet(str(folder), subset=None, image_root=None)


def images(source, column):
    columns = Columns(column, None, (), None)
    return [r.image for unit in source.units("train", columns, 0) for r in unit.read(0, unit.rows)]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[{"bytes": each, "path": None}] * 2 for each in JPEGS], pa.list_(FILE)),
        pa.array([[each, JPEGS[0]] for each in JPEGS], pa.list_(pa.binary())),
    ],
    ids=["structs", "bytes"],
)
def test_the_first_image_of_a_list_is_read_and_others_are_counted(tmp_path, values):
    source = opened(tmp_path, images=values, text=["a", "b", "c"])
    assert [c.name for c in source.features() if c.dtype == "image"] == ["images"]
    assert images(source, "images") == JPEGS
    (unit,) = source.units("train", Columns("images", None, (), None), 0)
    remarks = [remark for record in unit.read(0, 3) for remark in record.remarks]
    assert [count for _, count in remarks] == [1, 1, 1]
    assert "--image-list each" in remarks[0][0]


@pytest.mark.parametrize("kind", [pa.list_(FILE), pa.large_list(FILE), pa.list_(FILE, 2)])
def test_all_images_of_lists_are_read_where_they_are_asked_for(tmp_path, kind):
    rows = [[{"bytes": each, "path": None} for each in (one, JPEGS[0])] for one in JPEGS]
    source = opened(tmp_path, images=pa.array(rows, kind))
    (unit,) = source.units("train", Columns("images", None, (), None, every_image=True), 0)
    records = list(unit.read(1, 3))
    assert [record.image for record in records] == JPEGS[1:]
    assert [record.others for record in records] == [((JPEGS[0], None),)] * 2
    assert not any(record.remarks for record in records)


def test_an_empty_list_is_a_row_without_an_image(tmp_path):
    values = pa.array([[JPEGS[0]], [], None], pa.list_(pa.binary()))
    assert images(opened(tmp_path, images=values), "images") == [JPEGS[0], None, None]


def test_a_list_beside_an_image_column_is_a_list(tmp_path):
    source = opened(tmp_path, image=JPEGS, more=pa.array([[each] for each in JPEGS]))
    assert [c.name for c in source.features() if c.dtype == "image"] == ["image"]


def test_base64_is_decoded(tmp_path):
    source = opened(tmp_path, data=[base64.b64encode(each).decode() for each in JPEGS])
    assert images(source, "data") == JPEGS


def test_a_url_is_named_as_a_url(tmp_path):
    source = opened(tmp_path, image=["https://host/1.jpg"])
    (unit,) = source.units("train", Columns("image", None, (), None), 0)
    (record,) = unit.read(0, 1)
    assert "is a URL, 'https://host/1.jpg'" in record.problem


def test_links_of_a_hub_cache_snapshot_are_followed(tmp_path):
    snapshot = tmp_path / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/1").write_bytes(JPEGS[0])
    (snapshot / "1.jpg").symlink_to(os.path.relpath(tmp_path / "blobs/1", snapshot))
    assert images(opened(snapshot, file_name=["1.jpg"]), "file_name") == [JPEGS[0]]
