"""WebDataset shards as a source: existing tars, re-muxed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Column, Columns, of_our_output
from wdsremux.core.errors import SourceError
from wdsremux.core.option_values import counted, listed
from wdsremux.core.paths import is_folder
from wdsremux.sources.split_rules import ordered, split_of_file
from wdsremux.sources.tars.files import (
    InnerTar,
    TarFile,
    check_size,
    notes_on_ends,
    paths_of,
    size_of,
)
from wdsremux.sources.tars.nested import inner_tars
from wdsremux.sources.tars.samples import all_samples, group_samples, members_of_tar
from wdsremux.sources.tars.schema import (
    TarSchema,
    form_of,
    infer_schema,
    refuse_dotted_keys,
)
from wdsremux.sources.tars.survey import Fields, TarSurvey, seen_tars
from wdsremux.sources.tars.unit import TarUnit, content_of
from wdsremux.sources.tars.wids_index import read_wids_index

ROWS_PER_UNIT = 256
UNIT_BYTES = 64 << 20
_MAX_JSON_BYTES = 1 << 20
_NAMED = 5
"""Missing shards that an error names."""


@dataclass(frozen=True)
class TarSource:
    """Existing shards; made by `open_tars`."""

    shards: Mapping[str, tuple[Path, ...]]
    """The tars of each split, in order."""
    schema: TarSchema
    samples: Mapping[str, int]
    """By file name, the number of samples, where an index beside the tars records it."""
    remarks: tuple[str, ...] = ()
    inner: Mapping[Path, tuple[InnerTar, ...]] = field(default_factory=dict)
    """The tars within each tar, where there are such."""
    classes: Mapping[str, int] = field(default_factory=dict)
    """Labels by the names of inner tars."""

    def tars_in(self, path: Path) -> Iterator[TarFile]:
        """Yield a tar, or the tars within it."""
        for inner in self.inner.get(path, (None,)):
            yield TarFile(str(path), inner)

    def identity(self) -> Mapping[str, Any]:
        """Return the name and size of each tar, in order, by split."""
        files = [
            {"split": split, "name": path.name, "bytes": size_of(path)}
            for split, paths in self.shards.items()
            for path in paths
        ]
        return {"kind": "tars", "files": files}

    def splits(self) -> Mapping[str, int | None]:
        """Return the splits; the rows are known when an index.json beside the tars lists them."""
        return {
            split: sum(self.samples[p.name] for p in paths)
            if all(p.name in self.samples for p in paths)
            else None
            for split, paths in self.shards.items()
        }

    def features(self) -> Sequence[Column]:
        """Return the columns the first 100 samples show, and "key", the sample's key."""
        return self.schema.columns

    def notes(self) -> Sequence[str]:
        """Return what the samples examined hold that is not read."""
        return self.remarks

    def units(self, split: str, columns: Columns, start: int) -> Iterator[TarUnit]:
        """Yield runs of at most 256 samples or 64 MB; only headers are read. Raises SourceError."""
        if split not in self.shards:
            raise SourceError(
                f"no split {split!r} among the tars, only {', '.join(self.shards)}; "
                "name one of these with --split"
            )
        first = 0
        for path in self.shards[split]:
            known = self.samples.get(path.name)
            if known is not None and first + known <= start:
                first += known  # no need to scan what is not wanted
                continue
            rows = 0
            for tar in self.tars_in(path):
                for unit in _runs(tar, first + rows, self.schema, columns, self.classes):
                    rows += unit.rows
                    if unit.first + unit.rows > start:
                        yield unit
            if known is not None and rows != known:
                raise SourceError(
                    f"index.json lists {known} samples in {path.name!r}, but it holds {rows}; "
                    "write the index again or move it away"
                )
            first += rows


def _runs(
    tar: TarFile, first: int, schema: TarSchema, columns: Columns, classes: Mapping[str, int]
) -> Iterator[TarUnit]:
    """Yield the units of one tar; no more than one unit's offsets are held."""
    offset = rows = size = 0
    needed = schema.narrowed(columns.read)
    images = (columns.image, *(column.name for column in columns.more_images))

    label = classes.get(tar.inner.class_name) if tar.inner else None
    names = columns.fields

    def unit() -> TarUnit:
        return TarUnit(tar, offset, first, rows, size, needed, images, names, label)

    with tar.open() as file:
        for sample in all_samples(file, tar.name):
            sample_bytes = sample.end - sample.offset
            if rows == ROWS_PER_UNIT or (rows and size + sample_bytes > UNIT_BYTES):
                yield unit()
                first += rows
                rows = size = 0
            if not rows:
                offset = sample.offset
            rows += 1
            size += sample_bytes
    if rows:
        yield unit()


def open_tars(pattern: str | os.PathLike[str]) -> TarSource:
    """Open existing shards: 'train-{000000..000009}.tar', a glob, one tar, or a folder of tars.

    The split of a tar is the keyword in its name; when none has one, all are "train". The order is
    that of the pattern, or of the names, byte by byte. Reads the first 100 samples; sizes of all
    tars are checked.

    Raises:
        SourceError: no such tar, one that is cut off or compressed, names without a split, a
            folder that lacks shards its index.json lists.

    """
    paths = paths_of(os.fspath(pattern))
    for path in paths:
        check_size(path)
    shards = _by_split(paths)
    index = read_wids_index(paths[0].parent)
    there = {path.name for path in paths}
    if is_folder(pattern):
        _refuse_missing(paths[0].parent, index.missing(there))
    counts = {name: n for name, n in index.samples.items() if name in there}
    if len(there) < len(paths):
        counts = {}  # shards of one name in several folders: the index may mean either
    inner = inner_tars(paths)
    tars = [TarFile(str(path), each) for path in paths for each in inner.get(path, (None,))]
    survey = TarSurvey([each for tar, n in seen_tars(tars) for each in _first_samples(tar, n)])
    schema = infer_schema(survey.samples, index.class_names)
    names = sorted({each.class_name for parts in inner.values() for each in parts})
    if names:
        schema = schema.with_label(names)
    if index.is_ours:
        schema = replace(schema, columns=of_our_output(schema.columns))
    refuse_dotted_keys(paths[0].name, survey.samples, schema)
    notes = (*survey.notes(), *notes_on_ends(paths))
    classes = {name: number for number, name in enumerate(names)}
    return TarSource(shards, schema, {} if inner else counts, notes, inner, classes)


def _refuse_missing(folder: Path, missing: Sequence[str]) -> None:
    """Refuse a folder that lacks what its index lists: their samples would be lost silently."""
    if not missing:
        return
    names = listed([*map(repr, missing)], _NAMED)
    raise SourceError(
        f"index.json of {str(folder)!r} lists {counted(len(missing), 'shard')} that the folder "
        f"lacks: {names}; copy them there, or select tars with a pattern such as 'x/*.tar'"
    )


def _by_split(paths: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    splits = {path: split_of_file(path.name) for path in paths}
    unnamed = [path.name for path, split in splits.items() if split is None]
    if len(unnamed) == len(paths):
        return {"train": tuple(paths)}
    if unnamed:
        raise SourceError(
            f"the name of {unnamed[0]!r} has no split word (train, validation, test), but names of "
            "other tars have one; narrow the pattern to tars of one kind"
        )
    return {
        split: tuple(path for path in paths if splits[path] == split)
        for split in ordered(split for split in splits.values() if split)
    }


def _first_samples(tar: TarFile, samples: int) -> Iterator[Fields]:
    """Yield the first samples of a tar by field: contents, but None for images."""
    with tar.open() as file:
        for sample in islice(group_samples(members_of_tar(file, tar.name)), samples):
            yield {
                field: content_of(file, tar.name, sample, field)
                if form_of(field) == "json" and member.size <= _MAX_JSON_BYTES
                else None
                for field, member in sample.members.items()
                if not member.is_sparse
            }
