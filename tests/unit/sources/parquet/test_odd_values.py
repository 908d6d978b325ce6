"""Values that Python or JSON readers cannot hold: they cost no row, and no run."""

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wdsremux.core.columns import Columns
from wdsremux.core.json_values import ValueFormError, converter
from wdsremux.sources.folder.source import open_folder
from wdsremux.sources.hf_datasets.tables import open_dataset
from wdsremux.sources.parquet.local import open_parquet

PNG = b"\x89PNG\r\n\x1a\n"
FAR = 400_000_000_000  # seconds, in the year 14,645
DAYS = 5_000_000  # in the year 15,659

ODD = {
    "date32": pa.array([0, DAYS], pa.date32()),
    "date64": pa.array([0, DAYS * 86_400_000], pa.date64()),
    "seconds": pa.array([0, FAR], pa.timestamp("s")),
    "zoned": pa.array([0, 1], pa.timestamp("s", "Nowhere/Land")),
    "time64": pa.array([0, 86_399_999_999_999], pa.time64("ns")),
    "duration": pa.array([0, 2**62], pa.duration("us")),
    "listed": pa.array([[0], [DAYS]], pa.list_(pa.date32())),
    "inner": pa.array([{"d": 0}, {"d": DAYS}], pa.struct([("d", pa.date32())])),
}


def packed(source, name, split="train"):
    """Return the values of a column as they are packed."""
    column = next(c for c in source.features() if c.name == name)
    columns = Columns("image", None, (column,), None)
    records = [r for unit in source.units(split, columns, 0) for r in unit.read(0, unit.rows)]
    assert [record.image for record in records] == [PNG] * len(records)
    return [converter(column.dtype)(record.fields[name]) for record in records]


def written(path, **columns):
    rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({"image": [PNG] * rows, **columns}), path)
    return path


@pytest.mark.parametrize("name", ODD)
def test_dates_outside_of_what_python_holds_are_packed(tmp_path, name):
    path = written(tmp_path / "x.parquet", **{name: ODD[name]})
    first, second = packed(open_parquet(str(path), subset=None, image_root=None), name)
    assert first != second
    assert None not in (first, second)


def test_dates_that_arrow_cannot_write_are_refused_value_by_value(tmp_path):
    path = written(tmp_path / "x.parquet", day=pa.array([0, DAYS * 10], pa.date32()))
    with pytest.raises(ValueFormError, match="out of range"):
        packed(open_parquet(str(path), subset=None, image_root=None), "day")


@pytest.mark.parametrize("name", ["date32", "seconds"])
def test_dates_of_a_dataset_object_are_packed(name):
    table = datasets.Dataset(pa.table({"image": [PNG, PNG], name: ODD[name]}))
    first, second = packed(open_dataset(table), name)
    assert first.startswith("1970-01-01")
    assert second


def test_dates_of_a_metadata_table_are_packed(tmp_path):
    for number in (0, 1):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    names = pa.array(["0.png", "1.png"])
    table = pa.table(
        {"file_name": names, "day": ODD["date32"], "big": pa.array([1, 2**63], pa.uint64())}
    )
    pq.write_table(table, tmp_path / "metadata.parquet")
    source = open_folder(tmp_path)
    assert packed(source, "day")[0] == "1970-01-01"
    assert packed(source, "big") == ["1", str(2**63)]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array([[1], [2**63]], pa.list_(pa.uint64())), [["1"], [str(2**63)]]),
        (
            pa.array([{"u": 1, "n": 2}, {"u": 2**64 - 1, "n": 3}],
                     pa.struct([("u", pa.uint64()), ("n", pa.int32())])),
            [{"u": "1", "n": 2}, {"u": str(2**64 - 1), "n": 3}],
        ),
        (
            pa.array([[("a", 1)], [("b", 2**63)]], pa.map_(pa.string(), pa.uint64())),
            [[{"key": "a", "value": "1"}], [{"key": "b", "value": str(2**63)}]],
        ),
    ],
    ids=["list", "struct", "map"],
)  # fmt: skip
def test_large_unsigned_integers_within_a_column_are_strings(tmp_path, column, found):
    path = written(tmp_path / "x.parquet", big=column)
    assert packed(open_parquet(str(path), subset=None, image_root=None), "big") == found
