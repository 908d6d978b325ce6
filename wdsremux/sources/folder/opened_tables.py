"""Opens the tables of a folder of images: which files, which rows of which split."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wdsremux.core.columns import Dtype
from wdsremux.core.errors import SourceError
from wdsremux.core.option_values import counted
from wdsremux.sources.folder.metadata import (
    NameColumn,
    SplitTable,
    Tables,
    image_columns,
    rows_by_split,
    survey_tables,
)
from wdsremux.sources.folder.name_columns import find_tables
from wdsremux.sources.folder.survey import FolderSummary
from wdsremux.sources.folder.table_rows import has_cells
from wdsremux.sources.folder.walk import FolderFile
from wdsremux.sources.split_rules import Rule, SplitRank

_METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class OpenedTables:
    """The tables of a folder, by split."""

    splits: Mapping[str, SplitTable] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """Rows of the splits that have a table."""
    digests: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def open_tables(
    root: Path, base: Path, rule: Rule, summary: FolderSummary, splits: Sequence[str]
) -> OpenedTables:
    """Open the tables that belong to the images. Raises SourceError for metadata without paths."""
    found_files = {split: _own_files(summary.metadata, split) for split in splits}
    own = {split: each for split, each in found_files.items() if each}
    shared = tuple(summary.shared_metadata)
    files: Sequence[str] = sorted(
        {*shared, *(f for each in own.values() for f in each)}, key=os.fsencode
    )
    unused: tuple[str, ...] = tuple(summary.skipped.tables)
    names: NameColumn | None = None
    if not files:
        # Under the names of Kaggle and others.
        named = sorted(unused, key=lambda file: (not _is_metadata(file), os.fsencode(file)))
        found = find_tables(root, named, summary.folders, summary.extensions)
        files, shared, names, unused = found.used, found.used, found.names, found.unused
    if not files:
        return OpenedTables(unused=unused)
    dtypes, rows = survey_tables(root, files)
    tables = Tables(root, base, _checked(dtypes, names, files[0]), names)
    opened = {split: SplitTable(tables, each, split) for split, each in own.items()}
    counts = {split: sum(rows[file] for file in each) for split, each in own.items()}
    notes = tuple(_notes_on_names(names, shared))
    digests = {} if names is None else dict(_digests(root, shared))
    result = OpenedTables(opened, counts, digests, unused, notes)
    return _with_shared(result, tables, shared, rule, splits) if shared else result


def _checked(dtypes: dict[str, Dtype], names: NameColumn | None, file: str) -> dict[str, Dtype]:
    if names is None and not image_columns(dtypes):
        raise SourceError(
            f"the metadata file {file!r} has no file_name column; "
            "add one with the path of each image"
        )
    if names is not None and has_cells(file):
        return dtypes | {names.name: "string"}  # "007" is a name, not a number
    return dtypes


def _with_shared(
    result: OpenedTables,
    tables: Tables,
    shared: tuple[str, ...],
    rule: Rule,
    splits: Sequence[str],
) -> OpenedTables:
    """Return the tables with those that serve all splits without their own."""
    split_of = _SplitOf(rule)
    rows = rows_by_split(tables, shared, split_of)
    opened, counts = dict(result.splits), dict(result.counts)
    for split in splits:
        if split not in result.splits and rows[split]:
            opened[split] = SplitTable(tables, shared, split, split_of)
            counts[split] = rows[split]
    lost = sum(
        number for split, number in rows.items() if split not in counts or split in result.splits
    )
    note = f"{counted(lost, 'row')} of {shared[0]!r} left out: the image is not in a split"
    notes = (*result.notes, *([note] if lost else []))
    return replace(result, splits=opened, counts=counts, notes=notes)


def _notes_on_names(names: NameColumn | None, files: Sequence[str]) -> Iterator[str]:
    if names is not None:
        yield f"the columns are those of {files[0]!r}: its column {names.name!r} names the images"


@dataclass(frozen=True, slots=True)
class _SplitOf:
    """The split of an image under a rule."""

    rule: Rule

    def __call__(self, path: str) -> str | None:
        folder, _, name = path.rpartition("/")
        ranks = FolderFile(folder, name).ranks(self.rule)
        return ranks[0].split if ranks else None


def _own_files(metadata: Mapping[SplitRank, list[str]], split: str) -> tuple[str, ...]:
    """Return the metadata files of a split, those of lower ranks first."""
    found = (file for rank in sorted(metadata) if rank.split == split for file in metadata[rank])
    return tuple(dict.fromkeys(found))


def _is_metadata(file: str) -> bool:
    return file.rpartition("/")[2].lower().startswith(_METADATA)


def _digests(root: Path, files: Iterable[str]) -> Iterator[tuple[str, str]]:
    for file in files:
        yield file, hashlib.sha256((root / file).read_bytes()).hexdigest()
