"""An index of row groups, made from Parquet footers, and the source that uses it."""

import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import pyarrow.parquet as pq

from wdsremux.core.columns import Column, Columns, Dtype
from wdsremux.core.records import Unit
from wdsremux.sources.parquet.image_paths import ImageFolder
from wdsremux.sources.parquet.rows import RowGroup


@dataclass(frozen=True, slots=True)
class FileIndex:
    """What is kept of one file's footer: a few bytes for each row group."""

    name: str
    """Relative to the dataset, with "/"."""
    size_bytes: int
    footer_bytes: int
    group_rows: "array[int]"
    group_bytes: "array[int]"
    """Uncompressed."""
    column_bytes: Mapping[str, int]
    """Uncompressed, over all row groups."""
    oid: str | None = None
    """Git object ID of the content, on the Hub."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.group_rows)

    def share_of(self, names: Sequence[str]) -> float:
        """Return the share of the file's bytes that some columns hold."""
        whole = sum(self.column_bytes.values())
        return sum(self.column_bytes.get(name, 0) for name in names) / whole if whole else 0.0


def index_from_metadata(name: str, size_bytes: int, metadata: pq.FileMetaData) -> FileIndex:
    """Return what is kept of a footer."""
    rows, sizes = array("q"), array("q")
    columns: dict[str, int] = {}
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        rows.append(group.num_rows)
        sizes.append(group.total_byte_size)
        for k in range(group.num_columns):
            chunk = group.column(k)
            top = top_column(chunk.path_in_schema, columns)
            columns[top] = columns.get(top, 0) + chunk.total_uncompressed_size
    return FileIndex(name, size_bytes, metadata.serialized_size + 8, rows, sizes, columns)


def wide_columns(metadata: pq.FileMetaData) -> Iterator[str]:
    """Yield the columns of uint64 that may hold values of 2^63 and more, by the statistics."""
    for k in range(metadata.num_columns):
        logical = json.loads(metadata.schema.column(k).logical_type.to_json())
        is_unsigned = logical.get("bitWidth") == 64 and logical.get("isSigned") is False
        if is_unsigned and any(
            _may_be_wide(metadata, i, k) for i in range(metadata.num_row_groups)
        ):
            yield metadata.schema.column(k).path


def _may_be_wide(metadata: pq.FileMetaData, group: int, column: int) -> bool:
    chunk = metadata.row_group(group).column(column)
    statistics = chunk.statistics
    if statistics is not None and statistics.has_min_max:
        return bool(statistics.max >= 2**63)
    has_values = statistics is None or statistics.null_count != chunk.num_values
    return bool(chunk.num_values) and has_values


def top_column(path: str, known: Mapping[str, int]) -> str:
    """Return the column that a leaf such as "image.bytes" belongs to."""
    return path if path in known else path.split(".", 1)[0]


MakeUnits = Callable[[FileIndex, RowGroup, int], Iterable[Unit]]
"""Makes the units of a row group from the position of its first row: one, or slices in order."""


@dataclass(frozen=True, slots=True)
class RowGroupSource:
    """A dataset whose units are row groups; `make_units` decides what they read from."""

    head: Mapping[str, Any]
    """The identity without the files."""
    files: Mapping[str, Sequence[FileIndex]]
    """By split, in row order."""
    columns: Sequence[Column]
    images: ImageFolder
    """Resolves paths in an image column."""
    make_units: MakeUnits
    targets: Mapping[str, Dtype] = field(default_factory=dict)
    """Dtypes of columns that are not the same in all files."""
    remarks: tuple[str, ...] = ()

    def identity(self) -> Mapping[str, Any]:
        """Return kind, files with sizes and rows, and what else identifies the rows."""
        files = [
            {"name": f.name, "split": split, "bytes": f.size_bytes, "rows": f.rows}
            | ({"oid": f.oid} if f.oid is not None else {})
            for split, each in self.files.items()
            for f in each
        ]
        return {**self.head, "files": files}

    def splits(self) -> Mapping[str, int | None]:
        """Return the splits with their exact numbers of rows, from the footers."""
        return {split: sum(f.rows for f in each) for split, each in self.files.items()}

    def features(self) -> Sequence[Column]:
        """Return the columns."""
        return self.columns

    def notes(self) -> Sequence[str]:
        """Return what is left out."""
        return self.remarks

    def units(self, split: str, columns: Columns, start: int) -> Iterator[Unit]:
        """Yield the units of a split from the one that holds row `start` on."""
        files = self.files[split]
        fields = columns.fields
        targets = {name: self.targets[name] for name in fields if name in self.targets}
        ends = list(accumulate(file.rows for file in files))
        for i in range(bisect_right(ends, start), len(files)):
            file, first = files[i], ends[i] - files[i].rows
            before = first
            share = file.share_of(columns.read)
            groups = zip(file.group_rows, file.group_bytes, strict=True)
            for number, (rows, size) in enumerate(groups):
                if rows and first + rows > start:
                    size_bytes = max(1, round(size * share))
                    part = RowGroup(
                        number,
                        rows,
                        size_bytes,
                        columns.image,
                        fields,
                        self.images,
                        file.name,
                        first - before,
                        targets,
                        columns.every_image,
                        tuple(column.name for column in columns.more_images),
                    )
                    for unit in self.make_units(file, part, first):
                        if unit.first + unit.rows > start:
                            yield unit
                first += rows
