"""A folder of images, read as the imagefolder of Hugging Face `datasets` reads it, without it.

Row i is row i of `load_dataset("imagefolder", data_dir=...)`, with these differences, each on
purpose: a file that fits two keywords of one split is one row, not two; folders that only name
splits are no labels; a split without a metadata file, where others have one, keeps its images (with
empty columns) instead of none; several metadata files come in the order of their paths.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.core.records import Record
from wdsremux.sources.folder.metadata import Table, columns_of, image_columns, survey_tables
from wdsremux.sources.folder.walk import Found, Tally, survey, walk
from wdsremux.sources.split_rules import Place, Rule, folder_places, ordered

ROWS_PER_UNIT = 256

logger = logging.getLogger(__name__)

Entry = tuple[str | None, Mapping[str, Any]]
"""Path of the image from the root (None: there is none) and the values of the other columns."""


@dataclass(frozen=True, slots=True)
class FolderUnit:
    """A run of consecutive images."""

    root: str
    first: int
    images: tuple[str | None, ...]
    """Paths from the root, with "/"; as a metadata file gives them, so not to be trusted."""
    values: tuple[tuple[Any, ...], ...]
    """For each row, the values of `columns`."""
    columns: tuple[str, ...]
    size_bytes: int
    newest_ns: int
    """A file that has changed (ctime) after this is not the one that was listed."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.images)

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return f"{self.images[0]} and what follows"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the records of rows start..stop-1; a file that cannot be read is a problem.

        Raises SourceError for one that has changed since it was listed.
        """
        root = os.path.realpath(self.root)
        for row in range(start, stop):
            fields = dict(zip(self.columns, self.values[row], strict=True))
            name = self.images[row]
            data, problem = (None, None) if name is None else _content(root, name, self.newest_ns)
            place = None if name is None else repr(name)
            yield Record(self.first + row, data, fields, problem, place)


def _content(root: str, name: str, newest_ns: int) -> tuple[bytes | None, str | None]:
    """Return (content, problem) of a file below root, which is resolved."""
    if "\0" in name or "://" in name:
        return None, f"{name!r} is no path of a file"
    path = os.path.realpath(os.path.join(root, *name.split("/")))  # noqa: PTH118 (must not drop "..")
    if Path(name).is_absolute() or not Path(path).is_relative_to(root):
        return None, f"the file {name!r} lies outside of the source's folder or is a link out of it"
    if not Path(path).is_file():
        return None, f"the file {name!r} is not there"
    try:
        with Path(path).open("rb", buffering=0) as file:
            data = file.readall()
            # Asked for after the reading: what is written meanwhile is noticed, too. The ctime also
            # tells of copies that keep their mtime, and it comes from the clock of one machine.
            changed_ns = os.fstat(file.fileno()).st_ctime_ns
    except OSError as exc:
        return None, f"cannot read the file {name!r}: {exc.strerror}"
    if changed_ns > newest_ns:
        raise SourceError(
            f"the file {name!r} has changed since the run began; leave the folder alone and run "
            "the same command again"
        )
    return data, None


@dataclass(frozen=True)
class FolderSource:
    """A folder of images; made by `open_folder`."""

    root: Path
    rule: Rule
    tally: Tally
    labels: tuple[str, ...]
    """Class names in label order; none when the folders are no classes."""
    tables: Mapping[str, Table]
    """By split, the metadata; empty when there is none at all."""
    counts: Mapping[str, int]

    def identity(self) -> Mapping[str, Any]:
        """Return the number of files, their bytes, and the sha256 over their names and sizes."""
        return {
            "kind": "folder",
            "files": self.tally.files,
            "bytes": self.tally.total_bytes,
            "listing": self.tally.listing.hexdigest(),
        }

    def splits(self) -> Mapping[str, int | None]:
        """Return the splits with their numbers of rows."""
        return dict(self.counts)

    def features(self) -> tuple[Column, ...]:
        """Return the image, its label or the columns of the metadata, and the file's name."""
        for table in self.tables.values():
            return columns_of(table.dtypes)
        label = (Column("label", {"class_label": list(self.labels)}),) if self.labels else ()
        return (Column("image", "image"), *label, Column("file_name", "string"))

    def units(self, split: str, columns: Columns, start: int) -> Iterator[FolderUnit]:
        """Yield units of 256 images, those before `start` only listed. Raises SourceError."""
        if split not in self.counts:
            raise SourceError(
                f"no split {split!r} in this folder; it has {', '.join(self.counts)}; "
                "name one of these with --split"
            )
        expected = self.counts[split]
        if start >= expected:
            return
        first = start - start % ROWS_PER_UNIT
        entries = islice(self._entries(split, columns), first, None)
        while chunk := list(islice(entries, ROWS_PER_UNIT)):
            yield self._unit(first, chunk, columns)
            first += len(chunk)
        if first != expected:
            raise SourceError(
                f"the folder {str(self.root)!r} changed while it was read: {first} rows instead of "
                f"{expected}; leave it alone and convert again"
            )

    def _unit(self, first: int, chunk: list[Entry], columns: Columns) -> FolderUnit:
        average = self.tally.total_bytes // max(self.tally.files, 1)
        return FolderUnit(
            root=str(self.root),
            first=first,
            images=tuple(image for image, _ in chunk),
            values=tuple(tuple(row.get(name) for name in columns.fields) for _, row in chunk),
            columns=columns.fields,
            size_bytes=average * len(chunk),
            newest_ns=self.tally.newest_ns,
        )

    def _entries(self, split: str, columns: Columns) -> Iterable[Entry]:
        table = self.tables.get(split)
        return self._images(split) if table is None else _listed(table, columns)

    def _images(self, split: str) -> Iterator[Entry]:
        """Yield the images of a split; one walk for each rank of keywords, nearly always one."""
        numbers = {name: number for number, name in enumerate(self.labels)}
        for place in sorted(place for place in self.tally.images if place.split == split):
            for found in walk(self.root):
                if not found.is_metadata and place in found.places(self.rule):
                    label = numbers.get(_class_of(self.root, found))
                    yield found.path, {"label": label, "file_name": _text(found.path)}


def _listed(table: Table, columns: Columns) -> Iterator[Entry]:
    """Yield the rows of the metadata."""
    source = image_columns(table.dtypes).get(columns.image, columns.image)
    for folder, row in table.rows():
        name = row.get(source)
        path = name.replace("\\", "/") if name else None  # as a Windows program may have written it
        if path and folder and not path.startswith("/"):
            path = f"{folder}/{path}"
        yield path, {**row, "file_name": None if path is None else _text(path)}


def _class_of(root: Path, found: Found) -> str:
    return _text(found.folder.rpartition("/")[2] or root.name)


def _text(name: str) -> str:
    """Return a name as Unicode text: bytes that are none are shown as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def open_folder(path: str | os.PathLike[str]) -> FolderSource:
    """Open a folder of images. Walks it once: names and sizes, and the metadata files, are read.

    Class folders give the column "label"; `metadata.csv`, `.jsonl` or `.parquet` give their own
    columns instead, and then its rows, in its order, are the rows. "file_name" is the path from the
    folder.

    Raises:
        SourceError: no image, a folder that cannot be listed, metadata that cannot be understood.

    """
    root = Path(path).resolve()
    if not root.is_dir():
        raise SourceError(f"no folder {str(path)!r}; check the path")
    rule, tally = survey(root)
    counts: dict[str, int] = dict.fromkeys(ordered(place.split for place in tally.images), 0)
    for place, images in tally.images.items():
        counts[place.split] += images
    tables = _tables(root, tally)
    if tables:
        dtypes, rows = tables
        by_split = {s: _files(tally.metadata, s) for s in counts if _files(tally.metadata, s)}
        opened = {s: Table(root, files, dtypes) for s, files in by_split.items()}
        counts |= {s: sum(rows[file] for file in files) for s, files in by_split.items()}
        return FolderSource(root, rule, tally, (), opened, counts)
    return FolderSource(root, rule, tally, _labels(root, rule, tally), {}, counts)


def _tables(root: Path, tally: Tally) -> tuple[dict[str, Any], dict[str, int]] | None:
    files = sorted({file for files in tally.metadata.values() for file in files}, key=os.fsencode)
    if not files:
        return None
    dtypes, rows = survey_tables(root, files)
    if not image_columns(dtypes):
        raise SourceError(
            f"the metadata file {files[0]!r} has no column file_name; "
            "add one with the path of each image"
        )
    return dtypes, rows


def _files(metadata: Mapping[Place, list[str]], split: str) -> tuple[str, ...]:
    """Return the metadata files of a split, those of lower ranks first."""
    found = (file for place in sorted(metadata) if place.split == split for file in metadata[place])
    return tuple(dict.fromkeys(found))


def _tell_strays(tally: Tally) -> None:
    """Tell which image takes the labels from most others, as it does from `imagefolder`."""
    ((depth, most), *others) = tally.depths.most_common()
    strays = tally.depths.total() - most
    if depth and others and strays < most:
        logger.warning(
            "the folders give no label, as images lie outside the class folders or deeper in them: "
            "%d of %d, for example %r; move them right into a class folder, or away",
            strays,
            strays + most,
            tally.first_at[others[0][0]],
        )


def _labels(root: Path, rule: Rule, tally: Tally) -> tuple[str, ...]:
    """Return the class names: the folders of the images, when several and all equally deep."""
    names = sorted(_text(name or root.name) for name in tally.labels)
    if len(names) < 2 or len(tally.depths) > 1:
        _tell_strays(tally)
        return ()
    if rule == "folder" and all(folder_places(name) for name in names):
        return ()  # train/1.jpg and test/2.jpg: the folders name splits
    return tuple(names)
