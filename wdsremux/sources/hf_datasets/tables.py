"""Objects of the `datasets` library, and folders it saved: with random access where possible.

Images are never decoded here: tables are taken as Arrow, streams with decoding off.
"""

import hashlib
import io
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError, UsageError
from wdsremux.core.records import Unit
from wdsremux.sources.dtypes import with_listed_images
from wdsremux.sources.hf_datasets.saved import load_saved, table_files
from wdsremux.sources.hf_datasets.stream import RowStream, columns_from
from wdsremux.sources.hf_datasets.table_unit import (
    CHUNK_ROWS,
    Handle,
    PickledTable,
    SavedTable,
    TableUnit,
    prepared,
    rows_of,
    state_of,
)
from wdsremux.sources.rows.links import AllowedFiles
from wdsremux.sources.rows.unit import (
    UNIT_ROWS,
    bundled,
    item_from_row,
    plain_columns,
)

MAX_PICKLE_BYTES = 1 << 16
"""A table with a larger pickle holds its rows in memory: its rows are sent to the workers."""
_REMEDY = "if you trust the dataset, name the folder of its images with --image-root"


@dataclass(frozen=True)
class TableSource:
    """Tables with random access; made by `open_dataset` and `open_saved`."""

    tables: Mapping[str, Any]
    """By split, prepared: Arrow format, images undecoded."""
    handles: Mapping[str, Handle]
    """By split, of those that workers can open themselves."""
    facts: Mapping[str, Any]
    allowed: AllowedFiles = AllowedFiles(None)
    """Where images named by a path may be; a program's own rows may name any local file."""
    remarks: tuple[str, ...] = ()

    def identity(self) -> Mapping[str, Any]:
        """Return the rows and the fingerprint of each split, or the files of a saved dataset."""
        return self.facts

    def splits(self) -> Mapping[str, int | None]:
        """Return the splits with their numbers of rows."""
        return {split: len(table) for split, table in self.tables.items()}

    def features(self) -> Sequence[Column]:
        """Return the columns."""
        return with_listed_images(columns_from(next(iter(self.tables.values())).features))

    def notes(self) -> Sequence[str]:
        """Return which splits have no rows."""
        return self.remarks

    def units(self, split: str, columns: Columns, start: int) -> Iterator[Unit]:
        """Yield units of 256 rows; rows before `start` are not read."""
        if split not in self.tables:
            raise SourceError(
                f"the dataset has no split {split!r}, only {', '.join(self.tables)}; "
                "name one of these with --split"
            )
        table, handle = self.tables[split], self.handles.get(split)
        if handle is None:
            names = columns.read
            starts = range(start, len(table), CHUNK_ROWS)
            chunks = (rows_of(table, names, at, min(at + CHUNK_ROWS, len(table))) for at in starts)
            items = (
                item_from_row(row, columns, self.allowed) for row in chain.from_iterable(chunks)
            )
            yield from bundled(items, start)
            return
        row_bytes = table.data.nbytes // max(1, len(table.data))
        for first in range(start - start % UNIT_ROWS, len(table), UNIT_ROWS):
            rows = min(UNIT_ROWS, len(table) - first)
            size_bytes = rows * row_bytes
            yield TableUnit(
                first, handle, first, rows, size_bytes, plain_columns(columns), self.allowed
            )


def open_dataset(dataset: Any, give_up_after_s: float = 120.0) -> TableSource | RowStream:
    """Open a Dataset, an IterableDataset, or a DatasetDict or IterableDatasetDict of splits.

    A Dataset whose rows are in files is read by the workers; others are read in this process.

    Raises:
        UsageError: it has its own transform, or it is another kind of object.

    """
    import datasets  # noqa: PLC0415 (the caller has imported it already)

    splits = dict(dataset) if isinstance(dataset, dict) else {_split_of(dataset): dataset}
    if not splits:
        raise SourceError("the dataset has no splits; pass a dict with one or more")
    if all(isinstance(each, datasets.IterableDataset) for each in splits.values()):
        return _streamed(splits, give_up_after_s)
    if not all(isinstance(each, datasets.Dataset) for each in splits.values()):
        raise UsageError(
            f"a {type(dataset).__name__} cannot be converted; pass a Dataset, an IterableDataset, "
            "or a dict of splits that are all one of these"
        )
    tables = {str(split): prepared(table) for split, table in splits.items()}
    handles = {split: handle for split, table in tables.items() if (handle := _pickled(table))}
    facts = {
        "kind": "dataset",
        "splits": {
            split: {"rows": len(table), "fingerprint": table._fingerprint}  # noqa: SLF001 (no other)
            for split, table in tables.items()
        },
    }
    return TableSource(tables, handles, facts)


def _streamed(splits: Mapping[str, Any], give_up_after_s: float) -> RowStream:
    # A stream of images on the Hub may hold only their paths.
    from wdsremux.sources.hub.links import HubFetcher  # noqa: PLC0415
    from wdsremux.stores.hub.ranges import HubAccess  # noqa: PLC0415 (tables need no network)

    allowed = AllowedFiles(None, HubFetcher(HubAccess(give_up_after_s)))
    return RowStream(splits, None, allowed, give_up_after_s=give_up_after_s)


def _split_of(dataset: Any) -> str:
    split = str(getattr(dataset, "split", None) or "train")
    return split if split.replace("_", "").isalnum() else "train"  # not "train[:10]" or "a+b"


def _pickled(table: Any) -> PickledTable | None:
    """Return a handle of a table that is in files; None when the pickle would contain the rows."""
    if not table.cache_files:
        return None
    out = _SmallFile()
    try:
        pickle.Pickler(out, protocol=pickle.HIGHEST_PROTOCOL).dump(table)
    except _TooLargeError:
        return None
    return PickledTable(out.getvalue())


class _TooLargeError(Exception):
    """More was written than a unit may contain."""


class _SmallFile(io.BytesIO):
    """A file of bounded size: a table in memory must not be copied to measure it."""

    def write(self, data: Any) -> int:
        if self.tell() + len(memoryview(data).cast("B")) > MAX_PICKLE_BYTES:
            raise _TooLargeError
        return super().write(data)


def open_saved(
    path: str | os.PathLike[str],
    image_root: str | os.PathLike[str] | None = None,
    give_up_after_s: float = 120.0,
) -> TableSource:
    """Open a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote.

    It is not trusted: images that its rows name by path are read below `image_root`, or below the
    folder itself, and nowhere else.

    Raises:
        SourceError: it is not such a folder.

    """
    root = Path(path).resolve()
    loaded, empty = load_saved(root, str(path))
    names = {each: _split_of(table) if each == "." else each for each, table in loaded.items()}
    notes = (f"splits without rows: {', '.join(empty)}",) if empty else ()
    return TableSource(
        {names[each]: prepared(table) for each, table in loaded.items()},
        {name: SavedTable(str(root / each), state_of(root / each)) for each, name in names.items()},
        _facts(root),
        AllowedFiles(
            str(Path(image_root or root).resolve()),
            remedy=_REMEDY,
            others=(str(root),),
            give_up_after_s=give_up_after_s,
        ),
        notes,
    )


def _facts(root: Path) -> dict[str, Any]:
    states = sorted((*root.glob("state.json"), *root.glob("*/state.json")), key=os.fsencode)
    # Not all .arrow files: `datasets` writes its caches beside them.
    listed = {path for state in states for path in table_files(state.parent)}
    found = sorted(listed, key=os.fsencode)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in states))
    files = [{"name": p.relative_to(root).as_posix(), "bytes": p.stat().st_size} for p in found]
    # The state holds the fingerprint, which changes with every change of the rows.
    return {"kind": "saved", "files": files, "state": digest.hexdigest()}
