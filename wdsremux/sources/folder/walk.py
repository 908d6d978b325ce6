"""One walk over a folder of images: the files in order, and a summary of them.

The order is that of the whole relative paths, byte by byte ("a-x/1.png" before "a/1.png"), which is
the order of `datasets`; it is reached folder by folder, so that only the names of the open folders
are held.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from wdsremux.core.errors import SourceError
from wdsremux.core.image_formats import READ_EXTENSIONS, is_image_name
from wdsremux.sources.split_rules import (
    RULES,
    Rule,
    SplitRank,
    file_ranks,
    folder_ranks,
    numbered_ranks,
)

METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


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


def walk(root: Path) -> Iterator[FolderFile]:
    """Yield the images and metadata files below root (resolved), in order. Raises SourceError.

    Hidden files and folders and folders such as `__MACOSX` are skipped, as `datasets` does. A
    linked folder inside root is skipped (its files come under their own names); one that points
    outside root is an error, because its rows would be missing silently.
    """
    stack = [_entries(root, "")]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, str):
            stack.append(_entries(root, entry))
        else:
            yield entry


def _entries(root: Path, folder: str) -> Iterator[FolderFile | str]:
    """Yield the files of one folder and, as paths, its folders, in order."""
    found: list[tuple[bytes, str, bool]] = []
    try:
        with os.scandir(root / folder) as scan:
            for entry in scan:
                is_folder = _kind(root, entry)
                if is_folder is not None:
                    # A folder sorts by how the paths of its files continue: "/" comes after "-"
                    # and ".".
                    key = os.fsencode(entry.name + "/" if is_folder else entry.name)
                    found.append((key, entry.name, is_folder))
    except OSError as exc:
        raise SourceError(
            f"cannot list the folder {folder or '.'!r} of {str(root)!r}: {exc.strerror}; "
            "check that it exists and is readable"
        ) from exc
    for _, name, is_folder in sorted(found):
        if is_folder:
            yield f"{folder}/{name}" if folder else name
        else:
            yield FolderFile(folder, name)


def _kind(root: Path, entry: "os.DirEntry[str]") -> bool | None:
    """Return True for a folder to enter, False for a file to take, None for what is skipped."""
    if entry.name.startswith("."):
        return None
    if entry.is_dir(follow_symlinks=False):
        return None if entry.name.startswith("__") else True
    wanted = entry.name in METADATA_NAMES or is_image_name(entry.name)
    if not entry.is_symlink():
        return False if wanted and entry.is_file(follow_symlinks=False) else None
    target = Path(os.path.realpath(entry.path))
    if target.is_dir():
        if not target.is_relative_to(root):
            raise SourceError(
                f"the folder {os.path.relpath(entry.path, root)!r} of {str(root)!r} is a link to "
                "a folder outside; pass the linked folder as the source, or replace the link by a "
                "copy"
            )
        return None
    # A dangling link, or one to a file outside, stays a row: reading it reports why.
    return False if wanted else None


@dataclass
class FolderSummary:
    """Summary of the folder under one split rule."""

    images: "Counter[SplitRank]" = field(default_factory=Counter)
    metadata: dict[SplitRank, list[str]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    """Names of the folders right above the images."""
    depths: "Counter[int]" = field(default_factory=Counter)
    """Images by their depth below the root."""
    first_at: dict[int, str] = field(default_factory=dict)
    """The first image of each depth."""
    extensions: set[str] = field(default_factory=set)
    """Of the images, in lower case and without a dot."""
    files: int = 0
    total_bytes: int = 0
    listing: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    newest_ns: int = 0
    """When the walk began, or the last change (ctime) that a file had had by then, if later."""

    def add(self, found: FolderFile, ranks: tuple[SplitRank, ...], stat: "_Facts") -> None:
        """Count one file."""
        for rank in ranks:
            if found.is_metadata:
                self.metadata.setdefault(rank, []).append(found.path)
            else:
                self.images[rank] += 1
        if not found.is_metadata:
            self.labels.add(found.folder.rpartition("/")[2])
            depth = found.path.count("/")
            self.depths[depth] += 1
            self.first_at.setdefault(depth, found.path)
            self.extensions.add(found.name.rpartition(".")[2].lower())
        self.files += 1
        self.total_bytes += stat.size
        self.listing.update(stat.line)


class _Facts(NamedTuple):
    size: int
    changed_ns: int
    line: bytes
    """The file in the listing: name, size and, for metadata, the sha256 of the content."""


def survey(root: Path) -> tuple[Rule, FolderSummary]:
    """Walk once and return the split rule that applies, with its counts. Raises SourceError."""
    summaries = {rule: FolderSummary() for rule in RULES}
    newest_ns = time.time_ns()  # of files that the walk skips, but metadata may name
    for found in walk(root):
        facts = _facts(root, found)
        newest_ns = max(newest_ns, facts.changed_ns)  # a server's clock may be ahead
        for rule, summary in summaries.items():
            if ranks := found.ranks(rule):
                summary.add(found, ranks, facts)
    for rule, summary in summaries.items():
        if summary.images:
            _refuse_unread(root, summary.extensions)
            summary.newest_ns = newest_ns
            return rule, summary
    raise SourceError(
        f"the folder {str(root)!r} does not hold image files; pass a folder with images such as "
        ".jpg or .png"
    )


def _refuse_unread(root: Path, extensions: set[str]) -> None:
    """Refuse a folder of unreadable kinds only; among readable ones each is a record's error."""
    if not extensions & READ_EXTENSIONS:
        kinds = ", ".join(f".{extension}" for extension in sorted(extensions))
        raise SourceError(
            f"the images of the folder {str(root)!r} are {kinds}, which cannot be read; convert "
            "them to one of JPEG, PNG, WebP, GIF, BMP, TIFF, JPEG 2000 or AVIF, such as .png"
        )


def _facts(root: Path, found: FolderFile) -> _Facts:
    path = root / found.path
    try:
        stat = path.stat()
        size, changed_ns = stat.st_size, stat.st_ctime_ns
        content = hashlib.sha256(path.read_bytes()).hexdigest() if found.is_metadata else ""
    except OSError:
        size, changed_ns, content = 0, 0, "unreadable"  # a dangling link: its row reports it
    # The name is preceded by its length: a newline in a name cannot imitate another line.
    name = os.fsencode(found.path)
    return _Facts(size, changed_ns, b"%d:%s %d %s\n" % (len(name), name, size, content.encode()))
