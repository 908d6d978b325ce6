"""The rows of a table in a file: CSV, TSV, JSON lines, a JSON array of objects, or Parquet."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Dtype
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

_MAX_JSON_BYTES = 256 << 20
"""A JSON array is parsed as a whole: larger ones are not read."""

Row = dict[str, Any]


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of a file, cells of CSV and TSV as strings. Raises SourceError."""
    reader = _READERS.get(path.suffix.lower(), _parquet_rows)
    try:
        yield from reader(path)
    except (OSError, ValueError, csv.Error, RecursionError) as exc:
        raise SourceError(f"cannot read the metadata file {path.name!r}: {exc}") from exc


def has_cells(file: str) -> bool:
    """Return whether the values of a file are strings whose type is to be inferred."""
    return file.lower().endswith((".csv", ".tsv"))


def dtypes_of_row(file: str, row: Row, known: dict[str, Dtype]) -> None:
    """Merge the dtypes of a row into the known ones."""
    typed, merge = (_cell_dtype, _merged_cells) if has_cells(file) else (dtype_of, merged)
    for name, value in row.items():
        known[name] = merge(known.get(name, "null"), typed(value))


def _csv_rows(path: Path, delimiter: str = ",") -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(_bounded(file), delimiter=delimiter)
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

    from wdsremux.sources.parquet.rows import python_values  # noqa: PLC0415 (brings pyarrow)

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1024):
            names = batch.schema.names
            columns = (python_values(batch.column(name), name) for name in names)
            for values in zip(*columns, strict=True):
                yield dict(zip(names, values, strict=True))


def _json_rows(path: Path) -> Iterator[Row]:
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise ValueError(f"it is larger than {_MAX_JSON_BYTES} bytes; write JSON lines instead")
    content = path.read_text(encoding="utf-8-sig")
    try:
        rows = json.loads(content)
    except ValueError:
        yield from _jsonl_rows(path)  # JSON lines under another name
        return
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it is not a JSON array of objects")
    yield from rows


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".tsv": partial(_csv_rows, delimiter="\t"),
    ".jsonl": _jsonl_rows,
    ".json1": _jsonl_rows,
    ".json": _json_rows,
}


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


def typed_cell(cell: str | None, dtype: Dtype) -> Any:
    """Return the value of a cell of CSV in a column of that dtype."""
    if cell is None or cell == "" or (dtype != "string" and cell in _MISSING):
        return None
    if dtype == "int64":
        return int(cell)
    if dtype == "float64":
        return float(cell)
    return _BOOLS[cell] if dtype == "bool" else cell
