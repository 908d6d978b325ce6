"""One walk over a folder of images: its files in order.

The order is that of the whole relative paths, byte by byte ("a-x/1.png" before "a/1.png"), which is
the order of `datasets`; it is reached folder by folder, so that only the names of the open folders
are held.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from wdsremux.core.errors import SourceError
from wdsremux.core.image_formats import is_image_name
from wdsremux.core.paths import is_folder
from wdsremux.sources.split_rules import (
    Rule,
    SplitRank,
    file_ranks,
    folder_ranks,
    numbered_ranks,
)

METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
TABLE_EXTENSIONS = (".csv", ".tsv", ".json", ".jsonl", ".json1")
_UNCOUNTED = ("readme", "license", "licence", "thumbs.db", "desktop.ini")
"""Files that belong to no dataset: they are not reported as left out."""
MAX_TABLES = 64
"""Tables that are remembered; a folder with more of them holds other data."""


Kind = Literal["folder", "file", "other", "link", "hidden"]
"""Of an entry: to enter, to take, to count as left out, to count as a link, or to skip."""


class FolderFile(NamedTuple):
    """A file of the folder: an image or a metadata file."""

    folder: str
    """Path from the root, with "/"; "" is the root."""
    name: str

    @property
    def path(self) -> str:
        """Path from the root, with "/"."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def is_metadata(self) -> bool:
        """Whether this is a table about images instead of an image."""
        return self.name in METADATA_NAMES

    def ranks(self, rule: Rule) -> tuple[SplitRank, ...]:
        """Return the ranks of the file under a rule; empty when the rule leaves it out."""
        if rule == "all":
            return (SplitRank("train", 0),)
        if rule == "file":
            return file_ranks(self.name)
        if rule == "folder":
            return folder_ranks(self.folder)
        return numbered_ranks(self.folder, self.name)


@dataclass
class Skipped:
    """What a walk does not yield."""

    files: int = 0
    example: str = ""
    """The first file that is left out."""
    tables: list[str] = field(default_factory=list)
    """Files that may be tables about the images."""
    empty_folders: list[str] = field(default_factory=list)
    """Folders without any entry: classes without images."""
    links: list[str] = field(default_factory=list)
    """Links to other folders of the root, whose images are read under their own names."""

    def add(self, folder: str, name: str) -> None:
        """Count a file that is left out."""
        if name.lower().startswith(_UNCOUNTED):
            return
        path = f"{folder}/{name}" if folder else name
        if name.lower().endswith(TABLE_EXTENSIONS) and len(self.tables) < MAX_TABLES:
            self.tables.append(path)
            return
        self.files += 1
        self.example = self.example or path


def walk(
    root: Path, allowed: Sequence[Path] = (), skipped: Skipped | None = None
) -> Iterator[FolderFile]:
    """Yield the images and metadata files below root (resolved), in order. Raises SourceError.

    `allowed` are further folders that links may lead to; what is left out is added to `skipped`.

    Hidden files and folders and folders such as `__MACOSX` are skipped, as `datasets` does. A
    linked folder inside root is skipped (its files come under their own names); one that points
    outside root is an error, because its rows would be missing silently.
    """
    skipped = Skipped() if skipped is None else skipped
    roots = (root, *allowed)
    stack = [_entries(roots, "", skipped)]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, str):
            stack.append(_entries(roots, entry, skipped))
        else:
            yield entry


def _entries(roots: Sequence[Path], folder: str, skipped: Skipped) -> Iterator[FolderFile | str]:
    """Yield the files of one folder and, as paths, its folders, in order."""
    found = _listed(roots, folder)
    if not found and folder:
        skipped.empty_folders.append(folder)
    # A folder sorts by how the paths of its files continue: "/" comes after "-" and ".".
    for name, kind in sorted(found, key=lambda item: os.fsencode(_sorted_as(*item))):
        if kind == "folder":
            yield f"{folder}/{name}" if folder else name
        elif kind == "file":
            yield FolderFile(folder, name)
        elif kind == "other":
            skipped.add(folder, name)
        elif kind == "link":
            skipped.links.append(f"{folder}/{name}" if folder else name)


def _sorted_as(name: str, kind: Kind) -> str:
    return name + "/" if kind == "folder" else name


def _listed(roots: Sequence[Path], folder: str) -> list[tuple[str, Kind]]:
    """Return the entries of a folder that are not hidden."""
    try:
        with os.scandir(roots[0] / folder) as scan:
            shown = [entry for entry in scan if not entry.name.startswith(".")]
            found = [(entry.name, _kind(roots, entry)) for entry in shown]
    except OSError as exc:
        raise SourceError(
            f"cannot list the folder {folder or '.'!r} of {str(roots[0])!r}: {exc.strerror}; "
            "check that it exists and is readable"
        ) from exc
    return found


def _kind(roots: Sequence[Path], entry: "os.DirEntry[str]") -> Kind:
    if entry.is_dir(follow_symlinks=False):
        return "hidden" if entry.name.startswith("__") else "folder"
    wanted = entry.name in METADATA_NAMES or is_image_name(entry.name)
    if not entry.is_symlink():
        return "file" if wanted and entry.is_file(follow_symlinks=False) else "other"
    target = Path(os.path.realpath(entry.path))
    if not is_folder(target):
        # A dangling link, or one to a file outside, stays a row: reading it reports why.
        return "file" if wanted else "other"
    if target.is_relative_to(roots[0]):
        return "link"  # its files come under their own names
    if any(target.is_relative_to(root) for root in roots) and not _is_linked(roots[0], entry):
        return "folder"
    raise SourceError(
        f"the folder {os.path.relpath(entry.path, roots[0])!r} of {str(roots[0])!r} is a link to "
        f"a folder outside; allow it with --image-root {str(target)!r}, or replace it with a copy"
    )


def _is_linked(root: Path, entry: "os.DirEntry[str]") -> bool:
    """Return whether a link is itself inside a linked folder: these may form a loop."""
    return not Path(os.path.realpath(Path(entry.path).parent)).is_relative_to(root)
