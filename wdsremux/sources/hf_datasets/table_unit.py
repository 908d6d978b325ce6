"""Tables that every worker opens for itself, and units of their rows."""

import hashlib
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Columns
from wdsremux.core.errors import SourceError, UsageError
from wdsremux.core.records import Record
from wdsremux.sources.hf_datasets.saved import table_files
from wdsremux.sources.parquet.rows import python_values
from wdsremux.sources.rows.links import AllowedFiles
from wdsremux.sources.rows.unit import StreamUnit, item_from_row

CHUNK_ROWS = 16


@dataclass(frozen=True, slots=True)
class PickledTable:
    """A table whose rows are in files, as `datasets` pickles it: by their names."""

    pickled: bytes

    def load(self) -> Any:
        """Return the `Dataset`."""
        return pickle.loads(self.pickled)


@dataclass(frozen=True, slots=True)
class SavedTable:
    """A table that `save_to_disk` wrote."""

    folder: str
    state: str
    """Digest of its files' sizes and times: a folder that is written again is another table."""

    def load(self) -> Any:
        """Return the `Dataset`. Raises SourceError when its files have changed."""
        import datasets  # noqa: PLC0415 (takes a second or two, and brings pandas)

        if state_of(Path(self.folder)) != self.state:
            name = Path(self.folder).name
            raise SourceError(
                f"the saved dataset {name!r} was overwritten during the run; run the command again"
            )
        return prepared(datasets.load_from_disk(self.folder))


Handle = PickledTable | SavedTable


@lru_cache(maxsize=4)
def _opened(handle: Handle) -> Any:
    return handle.load()


@dataclass(frozen=True, slots=True)
class TableUnit:
    """Rows of a table that every worker can open."""

    first: int
    handle: Handle
    offset: int
    """Number of its first row in the table."""
    rows: int
    size_bytes: int
    columns: Columns
    allowed: AllowedFiles

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return f"rows {self.offset} to {self.offset + self.rows - 1} of the dataset"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the records of rows start..stop-1."""
        table, names = _opened(self.handle), self.columns.read
        for at in range(start, stop, CHUNK_ROWS):
            end = min(at + CHUNK_ROWS, stop)
            rows = rows_of(table, names, self.offset + at, self.offset + end)
            items = (item_from_row(row, self.columns, self.allowed) for row in rows)
            yield from StreamUnit(self.first + at, tuple(items)).read(0, end - at)


def rows_of(table: Any, names: Iterable[str], start: int, stop: int) -> list[dict[str, Any]]:
    """Return rows start..stop-1 of a table as dicts of these columns. Raises SourceError."""
    wanted = [name for name in dict.fromkeys(names) if name in table.column_names]
    try:
        chunk = table[start:stop].select(wanted)
        values = {
            name: [v for part in chunk.column(name).chunks for v in python_values(part, name)]
            for name in wanted
        }
        rows = [{name: each[i] for name, each in values.items()} for i in range(len(chunk))]
    except Exception as exc:  # a foreign library that reads a foreign file may raise anything
        raise SourceError(
            f"cannot read rows {start} to {stop - 1} of the dataset: {exc}; load it again"
        ) from exc
    return rows


def prepared(table: Any) -> Any:
    """Return a `Dataset` that returns Arrow tables. Raises UsageError when it has a transform."""
    if table.format["type"] == "custom":
        raise UsageError(
            "the dataset has its own transform (set_transform): pass that function as transform= "
            "and the dataset as dataset.with_format(None)"
        )
    return table.with_format("arrow")


def state_of(folder: Path) -> str:
    """Return a digest that changes when files of a saved table are overwritten."""
    files = [*table_files(folder), folder / "state.json", folder / "dataset_info.json"]
    states = [(each.name, each.stat()) for each in files if each.exists()]
    facts = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return hashlib.sha256(repr(facts).encode()).hexdigest()
