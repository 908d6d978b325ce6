"""Rows of one row group as records: shared by Parquet on disk and on the Hub.

Streams in small batches, so that memory follows the batch and the page, not the row group.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from wdsremux.core.columns import Dtype
from wdsremux.core.errors import SourceError
from wdsremux.core.records import Record
from wdsremux.sources.parquet.image_paths import ImageFolder
from wdsremux.sources.parquet.merging import conformed
from wdsremux.sources.parquet.schema import dtype_from_arrow, entries_type
from wdsremux.sources.rows.embedded import embedded_image, remark_on_list
from wdsremux.sources.rows.links import Content


@dataclass(frozen=True, slots=True)
class OutOfRangeValue:
    """A value that Python cannot hold; no column has this type."""

    reason: str


BATCH_ROWS = 64
BATCH_BYTES = 8 * 10**6
"""Upper bounds of a batch: rows, and bytes where rows are large."""

PAGE_ROWS = 1024
"""Rows that pyarrow writes at once: the least of a data page."""

FIRST_ROWS = 8
"""Rows examined to find a first value."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of a file and the columns to read."""

    number: int
    rows: int
    size_bytes: int
    """Of the wanted columns, uncompressed."""
    image: str
    fields: tuple[str, ...]
    images: ImageFolder
    """Resolves paths in the image column."""
    file: str = ""
    """Name of the file, as the source's identity has it."""
    first_row: int = 0
    """Row of the file at which it begins."""
    targets: Mapping[str, Dtype] = field(default_factory=dict)
    """Dtypes of wanted columns that are not the same in all files."""
    every_image: bool = False
    more_images: tuple[str, ...] = ()
    """Further image columns of the same sample."""

    @property
    def columns(self) -> list[str]:
        """Names of all wanted columns, each once."""
        return list(dict.fromkeys((self.image, *self.more_images, *self.fields)))

    @property
    def held_bytes(self) -> int:
        """Memory that reading takes: a data page as it is stored and as it is decompressed.

        pyarrow writes pages of at least `PAGE_ROWS` rows; measured with row groups of 250 MB.
        """
        return 2 * self.size_bytes * min(self.rows, PAGE_ROWS) // max(1, self.rows)

    @property
    def batch_rows(self) -> int:
        """How many rows are read at a time."""
        return min(BATCH_ROWS, max(1, BATCH_BYTES * self.rows // max(1, self.size_bytes)))


def read_records(
    file: pq.ParquetFile, part: RowGroup, first: int, start: int, stop: int
) -> Iterator[Record]:
    """Yield rows start..stop-1 of a row group; `first` is the position of the group's row 0.

    Columns that the file lacks are null. Raises SourceError for missing rows. What pyarrow raises
    on damaged files passes through: the caller names the file.
    """
    present = file.schema_arrow.names
    wanted = [name for name in part.columns if name in present] or present[:1]
    batches = file.iter_batches(
        batch_size=part.batch_rows,
        row_groups=[part.number],
        columns=wanted,
        use_threads=False,
    )
    at = 0
    for batch in batches:
        low, high = max(start - at, 0), min(stop - at, batch.num_rows)
        if low < high:
            yield from _records(batch.slice(low, high - low), part, first, at + low)
        at += batch.num_rows
        if at >= stop:
            return
    raise SourceError(f"the row group ends after {at} of {part.rows} rows; download the file again")


def _records(batch: pa.RecordBatch, part: RowGroup, first: int, start: int) -> Iterator[Record]:
    """Yield the rows of a batch that begins at row `start` of the row group."""
    nulls = pa.nulls(len(batch))
    present = set(batch.schema.names)
    columns = {n: batch.column(n) if n in present else nulls for n in part.columns}
    lists = image_lists(columns[part.image], part.image)
    more = {name: image_lists(columns[name], name) for name in part.more_images}
    values = [_field_values(columns[name], name, part) for name in part.fields]
    for i, images in enumerate(lists):
        image, problem = _first_content(images, part.images)
        others = tuple(_first_content(found[i], part.images) for found in more.values())
        if part.every_image:
            others = tuple(_content(*each, part.images) for each in images[1:])
        fields: Mapping[str, Any] = {n: v[i] for n, v in zip(part.fields, values, strict=True)}
        location = f"{part.file!r}, row {part.first_row + start + i}"
        lost = 0 if part.every_image else len(images) - 1
        remarks = remark_on_list(part.image, max(0, lost))
        for name, found in more.items():
            remarks += remark_on_list(name, max(0, len(found[i]) - 1))
        yield Record(first + start + i, image, fields, problem, location, others, remarks)


def _first_content(
    found: Sequence[tuple[bytes | None, str | None]], images: ImageFolder
) -> Content:
    return _content(*found[0], images) if found else (None, None)


def _content(data: bytes | None, path: str | None, images: ImageFolder) -> Content:
    """Return the image of a row or its problem: its bytes, or what its path names."""
    if data is not None or not path:
        return data, None
    data = embedded_image(path)
    return (data, None) if data is not None else images.read(path)


def _field_values(column: pa.Array, name: str, part: RowGroup) -> list[Any]:
    values = python_values(column, name)
    if name not in part.targets:
        return values
    try:
        return conformed(values, part.targets[name])
    except ValueError as exc:
        raise SourceError(
            f"column {name!r} in {part.file!r}: {exc}, and other files have floats in this column; "
            "write the files with one type"
        ) from exc


def image_values(column: pa.Array, name: str) -> tuple[list[bytes | None], list[str | None]]:
    """Return stored bytes and paths of an image column: a struct of both, bytes, or paths."""
    column = _plain(column)
    kind, types = column.type, pa.types
    nulls: list[Any] = [None] * len(column)
    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        names = [field.name for field in kind]
        # Unlike `field`, `flatten` returns null parts where the struct itself is null.
        parts = dict(zip(names, column.flatten(), strict=True))
        paths = python_values(parts["path"], name) if "path" in parts else nulls
        return python_values(parts["bytes"], name), paths
    if dtype_from_arrow(kind) == "string":
        return nulls, python_values(column, name)
    if dtype_from_arrow(kind) in ("binary", "null"):
        return python_values(column, name), nulls
    raise SourceError(
        f"column {name!r} holds {kind}, not images; choose another with --image-column"
    )


def image_lists(column: pa.Array, name: str) -> list[list[tuple[bytes | None, str | None]]]:
    """Return the stored bytes and paths of each row: one pair, or those of a list."""
    column = _plain(column)
    dtype = dtype_from_arrow(column.type)
    if not isinstance(dtype, dict) or "list" not in dtype:
        return [[pair] for pair in zip(*image_values(column, name), strict=True)]
    lengths = [length or 0 for length in column.value_lengths().to_pylist()]
    pairs = zip(*image_values(column.flatten(), name), strict=True)
    return [list(islice(pairs, length)) for length in lengths]


def python_values(column: pa.Array, name: str) -> list[Any]:
    """Return the values of a column as Python values."""
    column = _plain(column)
    exact = _without_nanoseconds(column.type)
    try:
        # Nanoseconds would become pandas objects, but only where pandas is installed.
        column = column if exact == column.type else column.cast(exact, safe=False)
        return list(column.to_pylist())
    except UnicodeDecodeError:
        stored = column.cast(pa.large_binary()).to_pylist()
        return [None if data is None else data.decode("utf-8", "replace") for data in stored]
    except (ValueError, OverflowError, LookupError):
        # Dates that Python cannot hold, a time zone that it does not know: value by value.
        return [_python_value(value, name) for value in column]


def _python_value(value: pa.Scalar, name: str) -> Any:
    """Return a value; as a string, as Arrow writes it, where Python has no such value."""
    kind = value.type
    if not value.is_valid:
        return None
    if pa.types.is_struct(kind):
        return {n: _python_value(each, name) for n, each in value.items()}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [_python_value(each, name) for each in value.values]
    try:
        return value.as_py()
    except (ValueError, OverflowError, LookupError):
        return _string_of(value, name)


def _string_of(value: pa.Scalar, name: str) -> Any:
    kind = value.type
    try:
        if pa.types.is_timestamp(kind) and kind.tz is not None:  # without a zone, Arrow writes UTC
            return f"{value.cast(pa.timestamp(kind.unit)).cast(pa.string()).as_py()}Z"
        found = value.cast(pa.string()).as_py()
    except (ValueError, OverflowError, LookupError, NotImplementedError) as exc:
        return OutOfRangeValue(f"{kind} in column {name!r}: {exc}")
    is_out = found.startswith("<value out of range")  # what Arrow writes for it
    return OutOfRangeValue(f"{kind} in column {name!r}: {found}") if is_out else found


def _plain(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_map(column.type):
        return column.cast(entries_type(column.type))
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _without_nanoseconds(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if types.is_list(kind):
        inner = kind.value_field
        return pa.list_(inner.with_type(_without_nanoseconds(inner.type)))
    if types.is_struct(kind):
        return pa.struct([f.with_type(_without_nanoseconds(f.type)) for f in kind])
    return kind


def first_values(file: pq.ParquetFile, names: list[str]) -> dict[str, Any]:
    """Return the first non-null value of each column among the first rows."""
    if not names:
        return {}
    for batch in file.iter_batches(batch_size=FIRST_ROWS, columns=names, use_threads=False):
        found = {name: _plain(batch.column(name)).drop_null() for name in names}
        return {name: values[0].as_py() for name, values in found.items() if len(values)}
    return {}
