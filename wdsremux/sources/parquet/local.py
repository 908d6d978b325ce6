"""Parquet on a local disk: a folder, one file, or a glob."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from wdsremux.core.columns import Column, Dtype
from wdsremux.core.errors import SourceError
from wdsremux.core.option_values import counted
from wdsremux.core.paths import is_file, is_folder
from wdsremux.core.records import Record, Unit
from wdsremux.sources.base import Source
from wdsremux.sources.dtypes import with_listed_images
from wdsremux.sources.parquet.image_paths import ImageFolder
from wdsremux.sources.parquet.index import (
    FileIndex,
    RowGroupSource,
    index_from_metadata,
    wide_columns,
)
from wdsremux.sources.parquet.layout import Layout, card_from_folder, dtypes_of, layout_from_names
from wdsremux.sources.parquet.merging import MergedSchema
from wdsremux.sources.parquet.rows import RowGroup, first_values, read_records
from wdsremux.sources.parquet.schema import columns_from_schema, guessable, with_guessed_images
from wdsremux.sources.rows.outages import DEFAULT_GIVE_UP_AFTER_S
from wdsremux.sources.rows.roots import image_roots

BUFFER_BYTES = 1 << 18
"""Column chunks are read in pieces of this size instead of whole."""

FOOTER_THREADS = 8

SLICE_ROWS = 1024
MAX_SLICES = 16
"""Rows of a slice of a row group, and the most slices of one. A reader of a slice skips the rows
before it, which costs about 1 % of processing them."""


@dataclass(frozen=True, slots=True)
class LocalUnit:
    """A row group of a file on disk, or a slice of one."""

    first: int
    file_name: str
    path: str
    part: RowGroup
    low: int
    """Row of the row group at which the slice begins."""
    high: int
    """Row of the row group at which it ends."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.high - self.low

    @property
    def size_bytes(self) -> int:
        """Bytes of the wanted columns, uncompressed."""
        return max(1, self.part.size_bytes * self.rows // self.part.rows)

    @property
    def held_bytes(self) -> int:
        """Memory that reading takes."""
        return self.part.held_bytes

    @property
    def name(self) -> str:
        """File and row group."""
        return f"{self.file_name} row group {self.part.number}"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield rows start..stop-1, streamed page by page."""
        with parquet_errors(self.name), open_file(self.path) as file:
            zero = self.first - self.low
            yield from read_records(file, self.part, zero, self.low + start, self.low + stop)


@contextmanager
def parquet_errors(name: str) -> Iterator[None]:
    """Translate what goes wrong while a file is read into a SourceError that names it."""
    try:
        yield
    except SourceError as exc:
        if str(exc).startswith("cannot read "):  # the layer below has named the file
            raise
        raise SourceError(f"{name}: {exc}") from exc
    except (pa.ArrowException, OSError, EOFError) as exc:
        reason = next(iter(str(exc).splitlines()), type(exc).__name__)
        raise SourceError(
            f"cannot read {name}: {reason}; the file is damaged or missing: download it again"
        ) from exc


def open_file(path: str) -> pq.ParquetFile:
    """Open a file so that column chunks are streamed; the caller closes it."""
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES)


def open_parquet(
    location: str,
    *,
    subset: str | None,
    image_root: Path | None,
    give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S,
) -> Source:
    """Open a folder, a file or a glob of .parquet files; reads all footers, in parallel.

    Splits are recognised as `load_dataset` does, also among the files of a glob: a file named
    "test" is never read as "train". Paths in an image column are read below `image_root`, which
    defaults to the dataset's folder.

    Raises SourceError when no file is found or a footer cannot be read, UsageError for a subset
    that must be named.
    """
    base, names, is_folder = _found(location)
    card = card_from_folder(base)
    if is_folder:
        layout = layout_from_names(names, card, subset)
    else:
        plain = layout_from_names(names, {}, None)
        layout = replace(plain, dtypes=dtypes_of(card, subset or "default"))
    roots = image_roots(base, image_root)
    images = ImageFolder(roots.base, roots.others, give_up_after_s)
    index, schema = _index(base, _in_order(layout), layout.dtypes)

    def make_units(file: FileIndex, part: RowGroup, first: int) -> Iterator[Unit]:
        path, step = str(base / file.name), max(SLICE_ROWS, -(-part.rows // MAX_SLICES))
        for low in range(0, part.rows, step):
            high = min(low + step, part.rows)
            yield LocalUnit(first + low, file.name, path, part, low, high)

    files = {split: [index[name] for name in each] for split, each in layout.splits.items()}
    columns = _columns(base, files, schema.columns, images)
    notes = tuple(_notes(names, layout))
    return RowGroupSource(
        {"kind": "parquet"}, files, columns, images, make_units, schema.targets, notes
    )


def _found(location: str) -> tuple[Path, list[str], bool]:
    """Return the base folder, the names of the files below it, and whether a folder was asked."""
    path = Path(location).expanduser()
    is_in_folder = is_folder(path)
    if is_in_folder:
        found = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    elif is_file(path):
        return path.parent, [path.name], False
    else:
        # Path.glob takes no absolute pattern.
        found = [Path(name) for name in glob(str(path), recursive=True)]  # noqa: PTH207
    names = [file for file in found if file.suffix == ".parquet" and is_file(file)]
    if not names:
        raise SourceError(f"no .parquet file at {location!r}: pass a folder, a file or a glob")
    base = path if is_in_folder else _fixed_head(path)
    return base, [file.relative_to(base).as_posix() for file in names], is_in_folder


def _fixed_head(pattern: Path) -> Path:
    """Return the folders of a glob that hold no wildcard."""
    parts = pattern.parts
    fixed = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _in_order(layout: Layout) -> list[str]:
    """Return the files, each once, in the order of splits and rows."""
    return list(dict.fromkeys(name for each in layout.splits.values() for name in each))


def _notes(names: Sequence[str], layout: Layout) -> Iterator[str]:
    left_out = sorted(set(names) - set(_in_order(layout)))
    if left_out:
        yield (
            f"{counted(len(left_out), '.parquet file')} left out: not in a split, for example "
            f"{left_out[0]!r}"
        )


def _index(
    base: Path, names: Sequence[str], declared: Mapping[str, Dtype]
) -> tuple[dict[str, FileIndex], MergedSchema]:
    """Read all footers, in parallel. Raises SourceError for files that do not fit together."""

    def read(name: str) -> tuple[FileIndex, tuple[Column, ...], tuple[str, ...]]:
        path = base / name
        with parquet_errors(name):
            metadata = pq.read_metadata(path)
            columns = columns_from_schema(metadata.schema.to_arrow_schema(), declared)
            index = index_from_metadata(name, path.stat().st_size, metadata)
            return index, columns, tuple(wide_columns(metadata))

    found, schema = {}, MergedSchema()
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        for name, (index, columns, wide) in zip(names, pool.map(read, names), strict=True):
            found[name] = index
            schema.add(name, columns, wide)
    return found, schema


def _columns(
    base: Path,
    files: Mapping[str, Sequence[FileIndex]],
    columns: Sequence[Column],
    images: ImageFolder,
) -> tuple[Column, ...]:
    """Return the columns; those whose first value is an image become images."""
    names = guessable(columns)
    name = next((file.name for each in files.values() for file in each if file.rows), None)
    if name is None or not names:
        return with_listed_images(columns)
    with parquet_errors(name), open_file(str(base / name)) as file:
        present = set(file.schema_arrow.names)
        values = first_values(file, [each for each in names if each in present])
    return with_guessed_images(columns, values, images.has)
