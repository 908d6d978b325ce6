"""A summary of a folder of images: its split rule, splits, labels and what is left out."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from wdsremux.core.errors import SourceError
from wdsremux.core.image_formats import READ_EXTENSIONS
from wdsremux.core.option_values import counted
from wdsremux.sources.folder.walk import MAX_TABLES, FolderFile, Skipped, walk
from wdsremux.sources.split_rules import RULES, Rule, SplitRank, applies

_MAX_FOLDERS = 64


@dataclass
class FolderSummary:
    """Summary of the folder under one split rule."""

    images: "Counter[SplitRank]" = field(default_factory=Counter)
    metadata: dict[SplitRank, list[str]] = field(default_factory=dict)
    shared_metadata: list[str] = field(default_factory=list)
    """Metadata files that the rule does not name: they serve all splits."""
    folders: set[str] = field(default_factory=set)
    """Paths of folders with images, up to a number."""
    labels: set[str] = field(default_factory=set)
    """Names of the folders right above the images."""
    depths: "Counter[int]" = field(default_factory=Counter)
    """Images by their depth below the root."""
    first_at: dict[int, str] = field(default_factory=dict)
    """The first image of each depth."""
    skipped: Skipped = field(default_factory=Skipped)
    """What is not an image by its name."""
    unranked: int = 0
    """Images that the split rule does not name."""
    first_unranked: str = ""
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
            if len(self.folders) < _MAX_FOLDERS:
                self.folders.add(found.folder)
            depth = found.path.count("/")
            self.depths[depth] += 1
            self.first_at.setdefault(depth, found.path)
            self.extensions.add(found.name.rpartition(".")[2].lower())
        self.files += 1
        self.total_bytes += stat.size
        self.listing.update(stat.line)

    def add_unranked(self, found: FolderFile, stat: "_Facts") -> None:
        """Count a file that the rule does not name."""
        if found.is_metadata:
            self.shared_metadata.append(found.path)
            self.listing.update(stat.line)
            return
        self.unranked += 1
        self.first_unranked = self.first_unranked or found.path


class _Facts(NamedTuple):
    size: int
    changed_ns: int
    line: bytes
    """The file in the listing: name, size and, for metadata, the sha256 of the content."""


def survey(root: Path, allowed: Sequence[Path] = ()) -> tuple[Rule, FolderSummary]:
    """Walk once and return the split rule that applies, with its counts. Raises SourceError."""
    summaries = {rule: FolderSummary() for rule in RULES}
    newest_ns = time.time_ns()  # of files that the walk skips, but metadata may name
    skipped = Skipped()
    for found in walk(root, allowed, skipped):
        facts = _facts(root, found)
        newest_ns = max(newest_ns, facts.changed_ns)  # a server's clock may be ahead
        for rule, summary in summaries.items():
            if ranks := found.ranks(rule):
                summary.add(found, ranks, facts)
            else:
                summary.add_unranked(found, facts)
    for rule, summary in summaries.items():
        images = summary.depths.total()
        splits = {rank.split for rank in summary.images}
        if applies(rule, splits, images, images + summary.unranked):
            _refuse_unread(root, summary.extensions)
            summary.newest_ns, summary.skipped = newest_ns, _counted_tables(skipped)
            return rule, summary
    seen = f"; it has {counted(skipped.files, 'other file')}" if skipped.files else ""
    example = f", for example {skipped.example!r}" if skipped.files else ""
    raise SourceError(
        f"the folder {str(root)!r} does not hold image files{seen}{example}; pass a folder with "
        "images such as .jpg or .png"
    )


def _counted_tables(skipped: Skipped) -> Skipped:
    """Return what was skipped; tables beside every image are annotations of one image each."""
    if len(skipped.tables) < MAX_TABLES:
        return skipped
    example = skipped.example or skipped.tables[0]
    files = skipped.files + len(skipped.tables)
    return Skipped(files, example, [], skipped.empty_folders, skipped.links)


def notes_on(summary: FolderSummary, unused_tables: Sequence[str]) -> Iterator[str]:
    """Yield what the folder holds that is not read, each with a number and an example."""
    if summary.unranked:
        yield (
            f"{counted(summary.unranked, 'image')} left out: not in a split, for example "
            f"{summary.first_unranked!r}"
        )
    files, example = summary.skipped.files, summary.skipped.example
    if files:
        yield (
            f"{counted(files, 'file')} left out: not an image by the extension, for example "
            f"{example!r}"
        )
    if links := summary.skipped.links:
        yield (
            f"{counted(len(links), 'link')} to other folders of the source not followed, for "
            f"example {links[0]!r}: their images are read once, in the folder they are in"
        )
    if unused_tables:
        yield (
            f"{counted(len(unused_tables), 'table')} not used, for example {unused_tables[0]!r}: "
            "no column has the names of the images; to use one, name it metadata.csv with a "
            "file_name column"
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
