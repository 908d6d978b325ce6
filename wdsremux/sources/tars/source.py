"""WebDataset shards as a source: existing tars, re-muxed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from braceexpand import braceexpand

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.core.option_values import counted, listed
from wdsremux.core.paths import exists, is_folder
from wdsremux.core.records import Record
from wdsremux.core.tar.ustar import BLOCK_BYTES
from wdsremux.sources.split_rules import ordered, split_of_file
from wdsremux.sources.tars.samples import (
    Sample,
    all_samples,
    group_samples,
    members_of_tar,
    read_content,
)
from wdsremux.sources.tars.schema import (
    MemberValueError,
    TarSchema,
    form_of,
    infer_schema,
    refuse_dotted_keys,
)
from wdsremux.sources.tars.survey import Fields, TarSurvey, refuse_compressed, seen_tars
from wdsremux.sources.tars.wids_index import read_wids_index

ROWS_PER_UNIT = 256
UNIT_BYTES = 64 << 20
_MAX_MEMBER_BYTES = 1 << 30
_MAX_JSON_BYTES = 1 << 20
_NAMED = 5
"""Missing shards that an error names."""


@dataclass(frozen=True, slots=True)
class TarUnit:
    """A run of consecutive samples of one tar."""

    path: str
    offset: int
    """Where the header of the first sample's first member begins."""
    first: int
    rows: int
    size_bytes: int
    schema: TarSchema
    image: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return f"{Path(self.path).name} from offset {self.offset} on"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the records of samples start..stop-1; a damaged tar is a SourceError."""
        with _opened(self.path) as file:
            samples = group_samples(members_of_tar(file, Path(self.path).name, self.offset))
            position = self.first + start
            for sample in islice(samples, start, stop):
                yield self._record(file, sample, position)
                position += 1
        if position != self.first + stop:
            raise SourceError(
                f"{self.name} holds fewer samples than before; "
                "do not change the tar during a run, and convert again"
            )

    def _record(self, file: BinaryIO, sample: Sample, position: int) -> Record:
        location = f"{Path(self.path).name!r}, sample {sample.key!r}"
        if sample.problem:
            return Record(position, None, problem=sample.problem, location=location)

        def fetch(field: str) -> bytes:
            return _content(file, Path(self.path).name, sample, field)

        try:
            fields = self.schema.values(self.columns, sample.key, sample.members, fetch)
            where = self.schema.field_of(self.image, sample.members)
            return Record(position, fetch(where) if where else None, fields, location=location)
        except MemberValueError as exc:
            return Record(
                position, None, problem=f"sample {sample.key!r}: {exc}", location=location
            )


def _content(file: BinaryIO, tar: str, sample: Sample, field: str) -> bytes:
    member = sample.members[field]
    if member.size > _MAX_MEMBER_BYTES:
        raise MemberValueError(f"the member {field!r} has {member.size} bytes, more than 1 GiB")
    return read_content(file, tar, member)


@dataclass(frozen=True)
class TarSource:
    """Existing shards; made by `open_tars`."""

    shards: Mapping[str, tuple[Path, ...]]
    """The tars of each split, in order."""
    schema: TarSchema
    samples: Mapping[str, int]
    """By file name, the number of samples, where an index beside the tars records it."""
    remarks: tuple[str, ...] = ()

    def identity(self) -> Mapping[str, Any]:
        """Return the name and size of each tar, in order, by split."""
        files = [
            {"split": split, "name": path.name, "bytes": _size(path)}
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
            for unit in _runs(path, first, self.schema, columns):
                rows += unit.rows
                if unit.first + unit.rows > start:
                    yield unit
            if known is not None and rows != known:
                raise SourceError(
                    f"index.json lists {known} samples in {path.name!r}, but it holds {rows}; "
                    "write the index again or move it away"
                )
            first += rows


def _runs(path: Path, first: int, schema: TarSchema, columns: Columns) -> Iterator[TarUnit]:
    """Yield the units of one tar; no more than one unit's offsets are held."""
    offset = rows = size = 0
    needed = schema.narrowed((columns.image, *columns.fields))

    def unit() -> TarUnit:
        return TarUnit(str(path), offset, first, rows, size, needed, columns.image, columns.fields)

    with _opened(path) as file:
        for sample in all_samples(file, path.name):
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
    paths = _paths(os.fspath(pattern))
    for path in paths:
        _check_size(path)
    shards = _by_split(paths)
    index = read_wids_index(paths[0].parent)
    there = {path.name for path in paths}
    if is_folder(pattern):
        _refuse_missing(paths[0].parent, index.missing(there))
    counts = {name: n for name, n in index.samples.items() if name in there}
    if len(there) < len(paths):
        counts = {}  # shards of one name in several folders: the index may mean either
    survey = TarSurvey([each for path, n in seen_tars(paths) for each in _first_samples(path, n)])
    survey.refuse_nested(paths[0].name)
    schema = infer_schema(survey.samples, index.class_names)
    refuse_dotted_keys(paths[0].name, survey.samples, schema)
    return TarSource(shards, schema, counts, tuple(survey.notes()))


def _paths(pattern: str) -> list[Path]:
    folder = Path(pattern)
    if is_folder(folder):
        found = sorted(map(str, folder.glob("*.tar")), key=os.fsencode)
        if not found:
            raise SourceError(
                f"no .tar file in the folder {pattern!r}; pass a pattern such as 'x/*.tar'"
            )
        return [Path(name) for name in found]
    if exists(folder):
        return [folder]
    try:
        names = list(braceexpand(pattern))
    except ValueError as exc:
        raise SourceError(f"the braces of {pattern!r} do not match; write {{000..009}}") from exc
    paths = []
    for name in names:
        matches = [name] if exists(name) else sorted(glob(name), key=os.fsencode)  # noqa: PTH207 (any path)
        if not matches:
            raise SourceError(f"no file {name!r}; check the pattern {pattern!r}")
        paths += matches
    return [Path(name) for name in dict.fromkeys(paths)]


def _refuse_missing(folder: Path, missing: Sequence[str]) -> None:
    """Refuse a folder that lacks what its index lists: their samples would be lost silently."""
    if not missing:
        return
    names = listed([*map(repr, missing)], _NAMED)
    raise SourceError(
        f"index.json of {str(folder)!r} lists {counted(len(missing), 'shard')} that the folder "
        f"lacks: {names}; copy them there, or select tars with a pattern such as 'x/*.tar'"
    )


def _check_size(path: Path) -> None:
    size = _size(path)
    if size:
        with _opened(path) as file:
            refuse_compressed(path, file.read(8))
    if size == 0 or size % BLOCK_BYTES:
        raise SourceError(
            f"{path.name!r} is not a complete tar: its size, {size} bytes, is not a multiple of "
            f"{BLOCK_BYTES}; download or pack it again, or exclude it from the pattern"
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


def _first_samples(path: Path, samples: int) -> Iterator[Fields]:
    """Yield the first samples of a tar by field: contents, but None for images."""
    with _opened(path) as file:
        for sample in islice(group_samples(members_of_tar(file, path.name)), samples):
            if sample.problem:
                continue
            yield {
                field: _content(file, path.name, sample, field)
                if form_of(field) == "json" and member.size <= _MAX_JSON_BYTES
                else None
                for field, member in sample.members.items()
            }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as exc:
        raise SourceError(f"cannot read the tar {str(path)!r}: {exc.strerror}") from exc


def _opened(path: str | Path) -> BinaryIO:
    try:
        # Unbuffered: the payload between two headers is not read, or only once.
        return Path(path).open("rb", buffering=0)
    except OSError as exc:
        raise SourceError(f"cannot read the tar {str(path)!r}: {exc.strerror}") from exc
