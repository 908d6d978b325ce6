"""A folder of images, read as the imagefolder of Hugging Face `datasets` reads it, without it.

Row i is row i of `load_dataset("imagefolder", data_dir=...)`, with these deliberate differences: a
file that fits two keywords of one split is one row, not two; folders that only name splits are not
labels; a split without a metadata file, where others have one, keeps its images (with
empty columns) instead of none; several metadata files come in the order of their paths.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.core.paths import is_file, is_folder
from wdsremux.core.records import Record
from wdsremux.sources.folder.metadata import SplitTable
from wdsremux.sources.folder.opened_tables import open_tables
from wdsremux.sources.folder.survey import FolderSummary, notes_on, survey
from wdsremux.sources.folder.unlisted import notes_on_unlisted
from wdsremux.sources.folder.walk import FolderFile, walk
from wdsremux.sources.rows.outages import DEFAULT_GIVE_UP_AFTER_S, is_outage, read_through_outages
from wdsremux.sources.rows.roots import ImageRoots, image_roots
from wdsremux.sources.split_rules import Rule, folder_ranks, ordered

ROWS_PER_UNIT = 256

logger = logging.getLogger(__name__)

Entry = tuple[tuple[str | None, ...], Mapping[str, Any]]
"""Paths of the images from the root (None: the row has none) and the values of the other columns.
"""


@dataclass(frozen=True, slots=True)
class FolderUnit:
    """A run of consecutive images."""

    roots: ImageRoots
    first: int
    images: tuple[str | None, ...]
    """Paths from `roots.base`, with "/"; as in a metadata file, so not to be trusted."""
    values: tuple[tuple[Any, ...], ...]
    """For each row, the values of `columns`."""
    columns: tuple[str, ...]
    size_bytes: int
    newest_ns: int
    """A file changed (ctime) after this is not the one that was listed."""
    give_up_after_s: float
    """How long a share may be away."""
    others: tuple[tuple[str | None, ...], ...] = ()
    """For each row, the paths of its further images."""

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
        for row in range(start, stop):
            fields = dict(zip(self.columns, self.values[row], strict=True))
            name = self.images[row]
            data, problem = self._read(name)
            others = tuple(map(self._read, self.others[row])) if self.others else ()
            location = None if name is None else repr(name)
            yield Record(self.first + row, data, fields, problem, location, others)

    def _read(self, name: str | None) -> tuple[bytes | None, str | None]:
        """Return (content, problem) of an image; a row may have none."""
        if name is None:
            return None, None
        return read_through_outages(
            f"the file {name!r}",
            self.give_up_after_s,
            partial(_content, self.roots, name, self.newest_ns),
        )


def _content(roots: ImageRoots, name: str, newest_ns: int) -> tuple[bytes | None, str | None]:
    """Return (content, problem) of a file. Raises OSError when a share is away."""
    if "\0" in name or "://" in name:
        return None, f"{name!r} is not a file path"
    path = roots.find(name)
    if path is None:
        return None, (
            f"the file {name!r} is outside of the source's folder, or a link to a file outside; "
            "allow its folder with --image-root"
        )
    if not is_file(path):
        return None, f"the file {name!r} does not exist"
    try:
        with path.open("rb", buffering=0) as file:
            data = file.readall()
            # Checked after reading, so that writes during the read are noticed. The ctime also
            # reveals copies that keep their mtime, and comes from the clock of one machine.
            changed_ns = os.fstat(file.fileno()).st_ctime_ns
    except OSError as exc:
        if is_outage(exc):
            raise
        return None, f"cannot read the file {name!r}: {exc.strerror}"
    if changed_ns > newest_ns:
        raise SourceError(
            f"the file {name!r} has changed since the run began; do not change the folder during a "
            "run, and run the same command again"
        )
    return data, None


@dataclass(frozen=True)
class FolderSource:
    """A folder of images; made by `open_folder`."""

    root: Path
    rule: Rule
    summary: FolderSummary
    labels: tuple[str, ...]
    """Class names in label order; empty when the folders are not classes."""
    tables: Mapping[str, SplitTable]
    """By split, the metadata; empty when there is none."""
    counts: Mapping[str, int]
    roots: ImageRoots
    remarks: tuple[str, ...] = ()
    give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S
    table_digests: Mapping[str, str] = field(default_factory=dict)
    """By name, the sha256 of tables that are not called metadata."""

    def identity(self) -> Mapping[str, Any]:
        """Return the number of files, their bytes, and the sha256 over their names and sizes."""
        return {
            "kind": "folder",
            "files": self.summary.files,
            "bytes": self.summary.total_bytes,
            "listing": self.summary.listing.hexdigest(),
            **({"tables": dict(self.table_digests)} if self.table_digests else {}),
        }

    def notes(self) -> Sequence[str]:
        """Return what the folder holds that is not read."""
        return self.remarks

    def splits(self) -> Mapping[str, int | None]:
        """Return the splits with their numbers of rows."""
        return dict(self.counts)

    def features(self) -> tuple[Column, ...]:
        """Return the image, its label or the columns of the metadata, and the file's name."""
        for table in self.tables.values():
            return table.tables.columns
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
            yield self._unit(split, first, chunk, columns)
            first += len(chunk)
        if first != expected:
            raise SourceError(
                f"the folder {str(self.root)!r} changed during the run: {first} rows instead of "
                f"{expected}; do not change it, and convert again"
            )

    def _unit(self, split: str, first: int, chunk: list[Entry], columns: Columns) -> FolderUnit:
        average = self.summary.total_bytes // max(self.summary.files, 1)
        return FolderUnit(
            roots=self.roots if split in self.tables else self.roots.rebased(str(self.root)),
            first=first,
            images=tuple(image for (image, *_), _ in chunk),
            others=tuple(tuple(others) for (_, *others), _ in chunk),
            values=tuple(tuple(row.get(name) for name in columns.fields) for _, row in chunk),
            columns=columns.fields,
            size_bytes=average * len(chunk),
            newest_ns=self.summary.newest_ns,
            give_up_after_s=self.give_up_after_s,
        )

    def _entries(self, split: str, columns: Columns) -> Iterable[Entry]:
        table = self.tables.get(split)
        return self._images(split) if table is None else _listed(table, columns)

    def _images(self, split: str) -> Iterator[Entry]:
        """Yield the images of a split; one walk for each rank of keywords, nearly always one."""
        numbers = {name: number for number, name in enumerate(self.labels)}
        for rank in sorted(rank for rank in self.summary.images if rank.split == split):
            for found in walk(self.root, self.roots.folders):
                if not found.is_metadata and rank in found.ranks(self.rule):
                    label = numbers.get(_class_of(self.root, found))
                    yield (found.path,), {"label": label, "file_name": _decoded(found.path)}


def _listed(table: SplitTable, columns: Columns) -> Iterator[Entry]:
    """Yield the rows of the metadata."""
    images = (columns.image, *(column.name for column in columns.more_images))
    for paths, row in table.entries(images):
        yield paths, {**row, "file_name": None if paths[0] is None else _decoded(paths[0])}


def _class_of(root: Path, found: FolderFile) -> str:
    return _decoded(found.folder.rpartition("/")[2] or root.name)


def _decoded(name: str) -> str:
    """Return a name as a Unicode string: bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def open_folder(
    path: str | os.PathLike[str],
    image_root: str | os.PathLike[str] | None = None,
    give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S,
) -> FolderSource:
    """Open a folder of images. Walks it once: names and sizes, and the metadata files, are read.

    Class folders become the column "label"; `metadata.csv`, `.jsonl` or `.parquet`, or another
    table with a column of the images' names, define the columns instead, and its rows, in its
    order, are the rows. "file_name" is the path from the folder. `image_root` is the folder that
    paths in tables start from; links may lead there.

    Raises:
        SourceError: no image, a folder that cannot be listed, metadata that cannot be read.

    """
    root = Path(path).resolve()
    if not is_folder(root):
        raise SourceError(f"the folder {str(path)!r} does not exist; check the path")
    roots = image_roots(root, image_root)
    rule, summary = survey(root, roots.folders)
    counts: dict[str, int] = dict.fromkeys(ordered(rank.split for rank in summary.images), 0)
    for rank, images in summary.images.items():
        counts[rank.split] += images
    tables = open_tables(root, Path(roots.base), rule, summary, tuple(counts))
    labels = () if tables.splits else _labels(root, rule, summary)
    notes = [*notes_on(summary, tables.unused), *tables.notes]
    if tables.splits and roots.base == str(root):
        notes += notes_on_unlisted(root, rule, tables.splits, roots.folders)
    return FolderSource(
        root,
        rule,
        summary,
        labels,
        tables.splits,
        counts | tables.counts,
        roots,
        tuple(notes),
        give_up_after_s,
        tables.digests,
    )


def _warn_strays(summary: FolderSummary) -> None:
    """Warn about images outside the class folders, which disable labels, as in `imagefolder`."""
    ((depth, most), *others) = summary.depths.most_common()
    strays = summary.depths.total() - most
    if depth and others and strays < most:
        logger.warning(
            "no labels: %d of %d images are outside the class folders or deeper in them, for "
            "example %r; move them into a class folder or out of the source",
            strays,
            strays + most,
            summary.first_at[others[0][0]],
        )


def _labels(root: Path, rule: Rule, summary: FolderSummary) -> tuple[str, ...]:
    """Return the class names: the folders of the images, when several and all equally deep."""
    found = {_decoded(name or root.name) for name in summary.labels}
    names = sorted(found | set(_empty_classes(rule, summary)))
    if len(names) < 2 or len(summary.depths) > 1:
        _warn_strays(summary)
        return ()
    if rule == "folder" and all(folder_ranks(name) for name in names):
        return ()  # train/1.jpg and test/2.jpg: the folders name splits
    return tuple(names)


def _empty_classes(rule: Rule, summary: FolderSummary) -> Iterator[str]:
    """Yield the names of empty folders beside class folders: they keep their numbers."""
    (depth,) = summary.depths if len(summary.depths) == 1 else (0,)
    for folder in summary.skipped.empty_folders:
        if folder.count("/") + 1 == depth and (rule != "folder" or folder_ranks(folder)):
            yield _decoded(folder.rpartition("/")[2])
