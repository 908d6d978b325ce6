import datetime as dt

import pyarrow as pa
import pytest

from wdsremux.core.errors import SourceError
from wdsremux.sources.parquet.image_paths import ImageFolder
from wdsremux.sources.parquet.rows import RowGroup, image_values, python_values


def test_dates_lose_nanoseconds_but_are_plain_python():
    stamp = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.UTC)
    values = [stamp, None]
    column = pa.array(values, pa.timestamp("ns", "UTC"))
    assert python_values(column, "when") == values
    assert type(python_values(column, "when")[0]) is dt.datetime
    nested = pa.array([[stamp]], pa.list_(pa.timestamp("ns", "UTC")))
    assert type(python_values(nested, "when")[0][0]) is dt.datetime


def test_a_string_of_invalid_utf8_is_kept_as_far_as_it_is_valid():
    column = pa.array([b"ok", b"\xff?", None]).view(pa.string())
    assert python_values(column, "text") == ["ok", "�?", None]


@pytest.mark.parametrize(
    ("column", "stored", "paths"),
    [
        (pa.array([b"a", None]), [b"a", None], [None, None]),
        (pa.array([b"a", None], pa.large_binary()), [b"a", None], [None, None]),
        (pa.array(["p", None]), [None, None], ["p", None]),
        (pa.array(["p", None]).dictionary_encode(), [None, None], ["p", None]),
        (pa.array([None, None]), [None, None], [None, None]),
        (pa.array([{"bytes": b"a", "path": None}, None]), [b"a", None], [None, None]),
        (pa.array([{"bytes": None, "path": "p"}, {"bytes": b"b", "path": "q"}]),
         [None, b"b"], ["p", "q"]),
    ],
)  # fmt: skip
def test_images_are_found_in_every_form_of_column(column, stored, paths):
    assert image_values(column, "image") == (stored, paths)


def test_a_column_without_images_is_an_error():
    with pytest.raises(SourceError, match=r"'label' holds int64.*--image-column"):
        image_values(pa.array([1]), "label")


@pytest.mark.parametrize(("row_bytes", "batch_rows"), [(10, 64), (10**6, 8), (10**8, 1)])
def test_large_rows_are_read_a_few_at_a_time(row_bytes, batch_rows):
    part = RowGroup(0, 100, 100 * row_bytes, "image", (), ImageFolder(None))
    assert part.batch_rows == batch_rows
