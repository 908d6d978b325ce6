"""The rows of `metadata.csv`, `metadata.jsonl` and `metadata.parquet` beside images.

Types are inferred from all rows, in one pass before the first row is returned: a table is small
compared with its images.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Column, Dtype
from wdsremux.core.errors import SourceError
from wdsremux.sources.inference import dtype_of, merged

_MISSING = frozenset(
    ("", "#N/A", "N/A", "NA", "<NA>", "NULL", "NaN", "None", "n/a", "nan", "null", "-nan", "-NaN")
)
"""What pandas reads as a missing number. In a string column only the empty cell is missing here,
while `datasets` (through pandas) would lose a caption or a class called "None" or "NA"."""
_INT = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")
_FLOAT = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*|\s*[+-]?inf\s*")
_BOOLS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_MAX_CELL_CHARS = 1 << 24

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """All metadata files of a split as one table of typed rows."""

    root: Path
    files: tuple[str, ...]
    """Paths from the root, with "/", in order."""
    dtypes: Mapping[str, Dtype]
    """By name; shared by all splits of the source."""

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Yield (folder of the metadata file, row) in order. Raises SourceError."""
        for file in self.files:
            is_csv = file.endswith(".csv")
            for row in _rows(self.root / file):
                yield (
                    file.rpartition("/")[0],
                    {
                        name: _typed(row.get(name), dtype) if is_csv else row.get(name)
                        for name, dtype in self.dtypes.items()
                    },
                )


def survey_tables(root: Path, files: Iterable[str]) -> tuple[dict[str, Dtype], dict[str, int]]:
    """Return the dtypes of all columns and the number of rows of each file. Raises SourceError."""
    dtypes: dict[str, Dtype] = {}
    counts: dict[str, int] = {}
    endings = set()
    for file in files:
        counts[file] = 0
        endings.add(file.rpartition(".")[2])
        typed = _cell_dtype if file.endswith(".csv") else dtype_of
        merge = _merged_cells if file.endswith(".csv") else merged
        for row in _rows(root / file):
            counts[file] += 1
            for name, value in row.items():
                dtypes[name] = merge(dtypes.get(name, "null"), typed(value))
    if len(endings) > 1:
        raise SourceError(f"{str(root)!r} has metadata files of different kinds; keep one kind")
    if "csv" in endings:
        # A column of empty cells is a string column without values.
        dtypes = {name: "string" if dtype == "null" else dtype for name, dtype in dtypes.items()}
    return dtypes, counts


def image_columns(dtypes: Mapping[str, Dtype]) -> dict[str, str]:
    """Return which columns name images: "image" for `file_name`, "x" for `x_file_name`."""
    found = {}
    for name, dtype in dtypes.items():
        if dtype == "string" and name == "file_name":
            found["image"] = name
        elif dtype == "string" and name.endswith("_file_name"):
            found[name.removesuffix("_file_name")] = name
    return found


def columns_of(dtypes: Mapping[str, Dtype]) -> tuple[Column, ...]:
    """Return the columns: those of the table, with images in place of their paths."""
    images = {source: name for name, source in image_columns(dtypes).items()}
    columns = [Column(images.get(n, n), "image" if n in images else d) for n, d in dtypes.items()]
    return (*columns, Column("file_name", "string"))


def _rows(path: Path) -> Iterator[Row]:
    reader = {".csv": _csv_rows, ".jsonl": _jsonl_rows}.get(path.suffix, _parquet_rows)
    try:
        yield from reader(path)
    except (OSError, ValueError, csv.Error, RecursionError) as exc:
        raise SourceError(f"cannot read the metadata file {path.name!r}: {exc}") from exc


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(_bounded(file))
        header = next(lines, [])
        if len(set(header)) < len(header):
            raise ValueError("two columns have the same name; rename one")
        for cells in lines:
            if not cells:
                continue  # an empty line is not a row
            if len(cells) > len(header):
                raise ValueError(
                    f"line {lines.line_num} has {len(cells)} cells for {len(header)} columns"
                )
            yield dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=True))


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if len(line) > _MAX_CELL_CHARS:
            raise ValueError(f"line {number} is longer than {_MAX_CELL_CHARS} characters")
        yield line


def _jsonl_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(_bounded(file), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as exc:
                raise ValueError(f"line {number} is not valid JSON: {exc}") from exc
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")  # noqa: TRY004 (a fault of the file)
            yield row


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq  # noqa: PLC0415 (heavy, and this kind is rare)

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def _cell_dtype(cell: str) -> Dtype:
    if cell in _MISSING:
        return "null"
    if _INT.fullmatch(cell):
        return "int64"
    if _FLOAT.fullmatch(cell):
        return "float64"
    return "bool" if cell in _BOOLS else "string"


def _merged_cells(one: Dtype, other: Dtype) -> Dtype:
    if one == other or "null" in (one, other):
        return one if other == "null" else other
    return "float64" if {str(one), str(other)} == {"int64", "float64"} else "string"


def _typed(cell: str | None, dtype: Dtype) -> Any:
    if cell is None or cell == "" or (dtype != "string" and cell in _MISSING):
        return None
    if dtype == "int64":
        return int(cell)
    if dtype == "float64":
        return float(cell)
    return _BOOLS[cell] if dtype == "bool" else cell
