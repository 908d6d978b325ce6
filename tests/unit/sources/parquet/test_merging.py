"""Files of one dataset whose schemas differ: all that later files add is read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.parquet.local import open_parquet
from wdsremux.sources.parquet.merging import merged_dtype

JPEG = b"\xff\xd8\xff"


def opened(folder, *tables):
    for number, columns in enumerate(tables):
        images = columns.pop("image", [JPEG] * len(next(iter(columns.values()), [0])))
        table = pa.table({"image": images, **columns} if images is not None else columns)
        pq.write_table(table, folder / f"{number}.parquet")
    return open_parquet(str(folder), subset=None, image_root=None)


def values(source, name):
    """Return the dtype of a column and its values in all rows."""
    column = next(column for column in source.features() if column.name == name)
    columns = Columns("image", None, (column,), None)
    units = source.units("train", columns, 0)
    records = [record for unit in units for record in unit.read(0, unit.rows)]
    assert all(record.image == JPEG and record.problem is None for record in records)
    return column.dtype, [record.fields[name] for record in records]


@pytest.mark.parametrize(
    ("first", "second", "dtype", "expected"),
    [
        ([None, None], ["x", None], "string", [None, None, "x", None]),
        ([1, 2], [0.5, 2.0], "float64", [1.0, 2.0, 0.5, 2.0]),
        (pa.array([1], pa.int32()), pa.array([2], pa.int64()), "int64", [1, 2]),
        ([{"a": 1}], [{"a": 2, "b": "v"}], {"struct": {"a": "int64", "b": "string"}},
         [{"a": 1, "b": None}, {"a": 2, "b": "v"}]),
        ([[1]], pa.array([[], [2.5]], pa.large_list(pa.float64())), {"list": "float64"},
         [[1.0], [], [2.5]]),
    ],
)  # fmt: skip
def test_a_column_has_the_type_that_holds_all_files(tmp_path, first, second, dtype, expected):
    found, read = values(opened(tmp_path, {"x": first}, {"x": second}), "x")
    assert (found, read) == (dtype, expected)
    assert [type(value) for value in read] == [type(value) for value in expected]


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value]])
def test_an_integer_that_a_float_would_round_is_refused_with_its_file(tmp_path, wrap):
    source = opened(tmp_path, {"x": [wrap(2**53)]}, {"x": [wrap(2**53 + 1)]}, {"x": [wrap(0.5)]})
    with pytest.raises(SourceError, match=r"'x' in '1\.parquet': .*9007199254740993 exactly"):
        values(source, "x")


def test_a_column_that_begins_or_ends_later_is_null_elsewhere(tmp_path):
    source = opened(tmp_path, {"a": [1, 2]}, {"b": ["x"]}, {"b": ["y"], "a": [3]})
    assert values(source, "a") == ("int64", [1, 2, None, 3])
    assert values(source, "b") == ("string", [None, None, "x", "y"])


def test_a_file_without_images_gives_rows_without_images(tmp_path):
    source = opened(tmp_path, {"a": [1]}, {"a": [2], "image": None})
    columns = Columns("image", None, (), None)
    units = source.units("train", columns, 0)
    assert [r.image for unit in units for r in unit.read(0, unit.rows)] == [JPEG, None]


@pytest.mark.parametrize(
    ("first", "second", "arguments"),
    [
        ([1999], ["1999-2000"], "column 'x' is int64 in '0.parquet' and string in '1.parquet'"),
        ([{"a": 1}], [{"a": "1"}], "column 'x' is struct in '0.parquet' and struct in"),
        ([[1]], [1], "column 'x' is list in '0.parquet' and int64 in '1.parquet'"),
    ],
)
def test_types_without_a_common_one_are_refused_with_both_files(tmp_path, first, second, arguments):
    with pytest.raises(SourceError, match=arguments):
        opened(tmp_path, {"x": first}, {"x": second})


def test_a_class_label_stays_one_beside_plain_integers():
    label = {"class_label": ["a", "b"]}
    assert merged_dtype(label, "int64") == merged_dtype("int64", label) == label
    assert merged_dtype(label, {"class_label": ["b"]}) is None
    assert merged_dtype("uint64", "int64") == "int64"
    assert merged_dtype("uint8", "int64") == "int64"


def test_columns_keep_the_order_in_which_they_are_first_seen(tmp_path):
    source = opened(tmp_path, {"a": [1], "b": [1]}, {"c": [1], "b": [1], "a": [1]})
    assert [c.name for c in source.features()] == ["image", "a", "b", "c"]
    assert source.features()[0] == Column("image", "image")


def test_integers_that_int64_cannot_hold_are_strings_in_all_files(tmp_path):
    wide, narrow = pa.array([2**63, None], pa.uint64()), pa.array([1], pa.uint64())
    source = opened(
        tmp_path, {"x": narrow, "y": narrow}, {"x": wide, "y": wide.slice(1).take([0, 0])}
    )
    assert values(source, "x") == ("string", ["1", str(2**63), None])
    assert values(source, "y") == ("uint64", [1, None, None])


def test_a_map_is_a_list_of_its_entries(tmp_path):
    column = pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64()))
    dtype, read = values(opened(tmp_path, {"x": column}), "x")
    assert dtype == {"list": {"struct": {"key": "string", "value": "int64"}}}
    assert read == [[{"key": "a", "value": 1}], None]
