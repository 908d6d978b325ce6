"""Folders of images in zips, local or on the Hub: read by the workers, member by member.

`datasets` streams every file of a zip in one process, and takes names without the UTF-8 flag for
code page 437. Splits are those of the zips; zips whose folders are `train/` and `test/` are split
by them, so that no test image is trained on.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.core.escaping import escaped
from wdsremux.core.image_formats import is_image_name
from wdsremux.core.option_values import counted
from wdsremux.core.redaction import shown_cause
from wdsremux.sources.folder.walk import METADATA_NAMES, Skipped
from wdsremux.sources.rows.links import AllowedFiles, Link, open_zip
from wdsremux.sources.rows.unit import StreamRow, StreamUnit, bundled
from wdsremux.sources.split_rules import applies, folder_ranks, ordered

_UTF8_FLAG = 0x800
_CP437 = "cp437"
"""How zipfile decodes a name without the flag: every byte is a character."""


class _Member(NamedTuple):
    """An image in a zip."""

    file: str
    """Path or URL of the zip."""
    name: str
    """As zipfile has it."""
    path: str
    """Decoded, with "/" between folders; the same string as the name where it can be."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Folders, and the file name."""
        return tuple(self.path.split("/"))

    @property
    def folder(self) -> str:
        return self.parts[-2] if len(self.parts) > 1 else ""


@dataclass
class ZippedImages:
    """The images of zips; made by `open_zips`."""

    facts: Mapping[str, Any]
    allowed: AllowedFiles
    members: dict[str, list[_Member]] = field(default_factory=dict)
    """By split, in the order of `datasets`: the files of a folder before its folders."""
    labels: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def identity(self) -> Mapping[str, Any]:
        """Return what is known of where the zips come from."""
        return self.facts

    def splits(self) -> Mapping[str, int | None]:
        """Return the splits with their numbers of images."""
        return {split: len(members) for split, members in self.members.items()}

    def features(self) -> Sequence[Column]:
        """Return the image and, if the zips have class folders, its label."""
        label = Column("label", {"class_label": list(self.labels)})
        return (Column("image", "image"), *([label] if self.labels else []))

    def notes(self) -> Sequence[str]:
        """Return what the zips hold that is not read, and names that cannot be decoded."""
        return self.remarks

    def units(self, split: str, columns: Columns, start: int) -> Iterator[StreamUnit]:
        """Yield units of the images' names; the workers read them."""
        if split not in self.members:
            raise SourceError(
                f"the zips have no split {split!r}, only {', '.join(self.members)}; name one of "
                "these with --split"
            )
        numbers = {name: number for number, name in enumerate(self.labels)}
        rows = (
            StreamRow(
                Link(member.file, self.allowed, member.name),
                {name: numbers.get(member.folder) for name in columns.fields},
                location=f"{member.path!r} of {member.file.rpartition('/')[2]!r}",
            )
            for member in islice(self.members[split], start, None)
        )
        yield from bundled(rows, start)


def open_zips(
    files: Mapping[str, Sequence[str]],
    facts: Mapping[str, Any],
    allowed: AllowedFiles,
    encoding: str | None,
    notes: Sequence[str] = (),
) -> ZippedImages | None:
    """Open zips of images by split; None when a zip holds metadata, which `datasets` reads.

    `encoding` is that of names without the UTF-8 flag. Raises SourceError.
    """
    source = ZippedImages(facts, allowed)
    skipped, problems, empty = Skipped(), list[str](), set[tuple[str, ...]]()
    for split, zips in files.items():
        source.members[split] = []
        for file in zips:
            infos = _infos(file, allowed)
            if any(info.filename.rpartition("/")[2] in METADATA_NAMES for info in infos):
                return None
            names = _Names(infos, encoding)
            problems += names.problems(file)
            found = [_Member(file, i.filename, names.path_of(i)) for i in infos]
            empty |= {each.parts for each in found if each.name.endswith("/")}
            images = [each for each in found if _is_row(each, skipped)]
            source.members[split] += sorted(images, key=lambda each: _walk_order(each.name))
    source.members = _by_inner_splits(source.members)
    every = [member for members in source.members.values() for member in members]
    if not every:
        raise SourceError(_nothing_in(files, skipped))
    source.labels = _labels(every, empty)
    source.remarks = (*notes, *problems, *_notes_on(skipped))
    return source


class _Names:
    """The names in one zip, decoded."""

    def __init__(self, infos: Sequence[zipfile.ZipInfo], encoding: str | None) -> None:
        self._unflagged = [
            info.filename.encode(_CP437, "surrogateescape")
            for info in infos
            if not info.flag_bits & _UTF8_FLAG and not info.filename.isascii()
        ]
        self._encoding = encoding or ("utf-8" if self._fits("utf-8") else None)
        # Programs of Windows write one or the other; a backslash may be half of a character.
        self._has_slash = any("/" in info.filename for info in infos)

    def _fits(self, encoding: str) -> bool:
        try:
            return all(raw.decode(encoding) for raw in self._unflagged)
        except UnicodeDecodeError:
            return False

    def path_of(self, info: zipfile.ZipInfo) -> str:
        """Return the decoded path of a member."""
        name = info.filename
        if not info.flag_bits & _UTF8_FLAG and not name.isascii():
            raw = name.encode(_CP437, "surrogateescape")
            name = raw.decode(self._encoding or "ascii", "backslashreplace")
        if not self._has_slash:
            name = name.replace("\\", "/")
        path = "/".join(part for part in name.split("/") if part not in ("", ".", ".."))
        return info.filename if path == info.filename else path

    def problems(self, file: str) -> Iterator[str]:
        """Yield a note on names that cannot be decoded. Raises SourceError for a wrong option."""
        if self._encoding is not None and not self._fits(self._encoding):
            raise SourceError(
                f"--zip-encoding {self._encoding} does not fit the names in "
                f"{file.rpartition('/')[2]!r}; name another encoding, or leave the option out"
            )
        if self._unflagged and self._encoding is None:
            raw = self._unflagged[0].decode("ascii", "backslashreplace")
            yield (
                f"{counted(len(self._unflagged), 'name')} in {file.rpartition('/')[2]!r} cannot be "
                f"decoded, for example '{escaped(raw)}': the zip does not say how they are "
                "encoded; name that with --zip-encoding, such as gbk, shift_jis, cp437 or cp1252"
            )


def _infos(file: str, allowed: AllowedFiles) -> list[zipfile.ZipInfo]:
    try:
        return open_zip(file, allowed.fetcher).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
        raise SourceError(
            f"cannot read the zip {file.rpartition('/')[2]!r}: {exc}; it is incomplete or not a "
            "zip: download it again"
        ) from shown_cause(exc)


def _walk_order(name: str) -> tuple[tuple[int, str], ...]:
    """Return the sort key of a member: files of a folder, then its folders, as `datasets` walks."""
    *folders, file = name.split("/")
    return (*((1, folder) for folder in folders), (0, file))


def _is_row(member: _Member, skipped: Skipped) -> bool:
    """Return whether a member is an image; count others."""
    if member.name.endswith("/") or any(p.startswith((".", "__")) for p in member.parts):
        return False
    if is_image_name(member.path):
        return True
    skipped.add("/".join(member.parts[:-1]), member.parts[-1])
    return False


def _by_inner_splits(members: dict[str, list[_Member]]) -> dict[str, list[_Member]]:
    """Return the members of zips that name no split by the folders in them, if these do."""
    if set(members) != {"train"}:
        return members
    ranks = [(m, folder_ranks("/".join(m.parts[:-1]))) for m in members["train"]]
    splits = {rank[0].split for _, rank in ranks if rank}
    if len(splits) < 2 or not applies("folder", splits, sum(bool(r) for _, r in ranks), len(ranks)):
        return members
    if not all(rank for _, rank in ranks):
        return members  # images beside the splits would be lost
    return {
        split: [member for member, rank in ranks if rank[0].split == split]
        for split in ordered(splits)
    }


def _labels(members: Sequence[_Member], empty: set[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the class names: the folders of the images, when several and all equally deep."""
    depths = {len(member.parts) for member in members}
    if len(depths) != 1 or depths == {1}:
        return ()
    (depth,) = depths
    # A folder without images keeps its number.
    names = {member.folder for member in members}
    names |= {each[-1] for each in empty if len(each) == depth - 1}
    if len(names) < 2 or all(folder_ranks(name) for name in names):
        return ()
    return tuple(sorted(names))


def _notes_on(skipped: Skipped) -> Iterator[str]:
    files = skipped.files + len(skipped.tables)
    example = skipped.example or next(iter(skipped.tables), "")
    if files:
        yield (
            f"{counted(files, 'file')} in zips left out: not an image by the extension, for "
            f"example {example!r}"
        )


def _nothing_in(files: Mapping[str, Sequence[str]], skipped: Skipped) -> str:
    names = [file.rpartition("/")[2] for zips in files.values() for file in zips]
    seen = f"; it has {next(_notes_on(skipped)).partition(' left out')[0]}" if skipped.files else ""
    inner = " (unpack the zips within)" if skipped.example.lower().endswith(".zip") else ""
    return (
        f"{names[0]!r} holds no images such as .jpg or .png{seen}; pass zips of images, or unpack "
        f"them{inner}"
    )
