"""Finds tables without `file_name` that plainly belong to images: a column has the images' names.

`train.csv` with a column `image_id` beside `train_images/` is such a table (Kaggle). A value may be
a path from the table's folder or the root, a file name, or a file name without its extension.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from wdsremux.core.errors import SourceError
from wdsremux.sources.folder.metadata import NameColumn
from wdsremux.sources.folder.table_rows import Row, rows_of

_ROWS_SEEN = 200
_LEAST_SHARE = 0.9
"""Share of the rows that must name an existing image: tables may list a few missing ones."""
_MAX_FOLDERS = 64
"""Folders of images in which a bare file name is looked up."""


@dataclass(frozen=True, slots=True)
class FoundTables:
    """The tables that belong to the images, and those that do not."""

    used: tuple[str, ...]
    names: NameColumn | None
    unused: tuple[str, ...]


def find_tables(
    root: Path, tables: Sequence[str], folders: Iterable[str], extensions: Iterable[str]
) -> FoundTables:
    """Return the tables that belong to the images in `folders`, paths from the root.

    All tables that are used have the same column; others are unused.
    """
    found: dict[str, NameColumn] = {}
    near = tuple(islice(sorted(folders), _MAX_FOLDERS))
    for table in tables:
        forms = [
            (f"{folder}/" if folder else "", extension)
            for folder in dict.fromkeys(("", table.rpartition("/")[0], *near))
            for extension in ("", *(f".{each}" for each in sorted(extensions)))
        ]
        names = _name_column(root, table, forms)
        if names is not None:
            found[table] = names
    if not found:
        return FoundTables((), None, tuple(tables))
    first = next(iter(found.values()))
    kind = PurePosixPath(next(iter(found))).suffix
    used = {
        table: names
        for table, names in found.items()
        if names.name == first.name and PurePosixPath(table).suffix == kind
    }
    every = dict.fromkeys(form for names in used.values() for form in names.forms)
    unused = tuple(table for table in tables if table not in used)
    return FoundTables(tuple(used), NameColumn(first.name, tuple(every)), unused)


def _name_column(root: Path, table: str, forms: Sequence[tuple[str, str]]) -> NameColumn | None:
    try:
        rows = list(islice(rows_of(root / table), _ROWS_SEEN))
    except SourceError:
        return None  # not a table
    for name in dict.fromkeys(name for row in rows for name in row):
        matching = _matching_forms(root, rows, name, forms)
        if matching.total() and matching.total() >= _LEAST_SHARE * len(rows):
            return NameColumn(name, tuple(form for form, _ in matching.most_common()))
    return None


def _matching_forms(
    root: Path, rows: Sequence[Row], name: str, forms: Sequence[tuple[str, str]]
) -> Counter[tuple[str, str]]:
    """Return how many rows name an image in each form; a row counts once."""
    found: Counter[tuple[str, str]] = Counter()
    known: Mapping[tuple[str, str], int] = found
    for row in rows:
        value = row.get(name)
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            continue
        likely = sorted(forms, key=lambda form: -known.get(form, 0)) if found else forms
        form = next((f for f in likely if _is_image(root, f"{f[0]}{value}{f[1]}")), None)
        if form is None and not found:
            return found  # the first value is not a name: no need to try the others
        if form is not None:
            found[form] += 1
    return found


def _is_image(root: Path, path: str) -> bool:
    try:
        return len(path) < 1024 and ".." not in path.split("/") and (root / path).is_file()
    except (OSError, ValueError):
        return False
