"""Tables beside images: `metadata.csv` and its like, and other tables that name the images.

Types are inferred from all rows, in one pass before the first row is returned: a table is small
compared with its images.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wdsremux.core.columns import Column, Dtype
from wdsremux.core.errors import SourceError
from wdsremux.sources.folder.table_rows import Row, dtypes_of_row, has_cells, rows_of, typed_cell

SplitOf = Callable[[str], str | None]
"""The split of the image at a path from the root."""


@dataclass(frozen=True, slots=True)
class NameColumn:
    """A column whose values are names of images: a table without `file_name` belongs by it."""

    name: str
    forms: tuple[tuple[str, str], ...]
    """(folder with "/" at its end, extension) to add to a value, most frequent first."""

    def path(self, root: Path, value: object) -> str | None:
        """Return the path of the image that a value names, from the root."""
        if value is None or value == "":
            return None
        paths = [f"{folder}{value}{extension}" for folder, extension in self.forms]
        if len(paths) == 1:
            return paths[0]
        return next((path for path in paths if _is_file(root, path)), paths[0])


def _is_file(root: Path, path: str) -> bool:
    try:
        return (root / path).is_file()
    except (OSError, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class Tables:
    """What the tables of a folder have in common."""

    root: Path
    base: Path
    """Folder that paths in tables start from: the root, or --image-root."""
    dtypes: Mapping[str, Dtype]
    """By column, merged over all tables."""
    names: NameColumn | None
    """None when the tables have `file_name` columns."""

    @property
    def images(self) -> dict[str, str]:
        """By name of an image column, the column with the paths."""
        if self.names is None:
            return image_columns(self.dtypes)
        is_free = "image" not in self.dtypes
        return {"image" if is_free else self.names.name: self.names.name}

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns: those of the table, with images in place of `file_name` columns."""
        images = self.images
        if self.names is not None and self.names.name not in images:
            plain = (Column(name, dtype) for name, dtype in self.dtypes.items())
            return (Column("image", "image"), *plain, Column("file_name", "string"))
        sources = {source: name for name, source in images.items()}
        columns = [
            Column(sources.get(n, n), "image" if n in sources else d)
            for n, d in self.dtypes.items()
        ]
        return (*columns, Column("file_name", "string"))

    def rows(self, file: str) -> Iterator[Row]:
        """Yield the typed rows of a file."""
        is_csv = has_cells(file)
        for row in rows_of(self.root / file):
            yield {
                name: typed_cell(row.get(name), dtype) if is_csv else row.get(name)
                for name, dtype in self.dtypes.items()
            }

    def path(self, file: str, row: Row, image: str) -> str | None:
        """Return the path of a row's image from `base`, None when the row names none."""
        value = row.get(self.images.get(image, image))
        if self.names is not None:
            return self.names.path(self.root, value)
        if not isinstance(value, str) or not value:
            return None
        path = value.replace("\\", "/")  # as Windows programs write it
        folder = file.rpartition("/")[0]
        if not folder or path.startswith("/") or self.base != self.root:
            return path
        # Some tools repeat the folder of the table in its paths.
        is_repeated = path.startswith(f"{folder}/") and not _is_file(self.root / folder, path)
        return path if is_repeated and _is_file(self.root, path) else f"{folder}/{path}"


@dataclass(frozen=True, slots=True)
class SplitTable:
    """The rows of a split: its own metadata files, and its share of those that serve all splits."""

    tables: Tables
    files: tuple[str, ...]
    """Paths from the root, with "/", in order."""
    split: str
    split_of: SplitOf | None = None
    """Set when the files serve all splits."""

    def entries(self, images: Sequence[str]) -> Iterator[tuple[tuple[str | None, ...], Row]]:
        """Yield (paths of the images, row) in order. Raises SourceError."""
        for file in self.files:
            for row in self.tables.rows(file):
                if self.split_of is None or self._is_here(file, row, self.split_of):
                    yield tuple(self.tables.path(file, row, name) for name in images), row

    def _is_here(self, file: str, row: Row, split_of: SplitOf) -> bool:
        first = next(iter(self.tables.images))
        return split_of(self.tables.path(file, row, first) or "") == self.split


def survey_tables(root: Path, files: Iterable[str]) -> tuple[dict[str, Dtype], dict[str, int]]:
    """Return the dtypes of all columns and the number of rows of each file. Raises SourceError."""
    dtypes: dict[str, Dtype] = {}
    counts: dict[str, int] = {}
    endings = set()
    for file in files:
        counts[file] = 0
        endings.add(file.rpartition(".")[2])
        for row in rows_of(root / file):
            counts[file] += 1
            dtypes_of_row(file, row, dtypes)
    if len(endings) > 1:
        raise SourceError(f"{str(root)!r} has metadata files of different kinds; keep one kind")
    if endings & {"csv", "tsv"}:
        # A column of empty cells is a string column without values.
        dtypes = {name: "string" if dtype == "null" else dtype for name, dtype in dtypes.items()}
    return dtypes, counts


def rows_by_split(tables: Tables, files: Iterable[str], split_of: SplitOf) -> Counter[str | None]:
    """Return how many rows of shared files belong to each split; None: to none."""
    image = next(iter(tables.images))
    return Counter(
        split_of(tables.path(file, row, image) or "") for file in files for row in tables.rows(file)
    )


def image_columns(dtypes: Mapping[str, Dtype]) -> dict[str, str]:
    """Return which columns name images: "image" for `file_name`, "x" for `x_file_name`."""
    found = {}
    for name, dtype in dtypes.items():
        if dtype == "string" and name == "file_name":
            found["image"] = name
        elif dtype == "string" and name.endswith("_file_name"):
            found[name.removesuffix("_file_name")] = name
    return found
