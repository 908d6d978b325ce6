"""Images that a row names by path: a local file, a file on the Hub, or a member of a zip.

The worker fetches them. A path of an untrusted dataset must be inside that dataset: it is never
followed to other local files or to other servers.
"""

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO, Protocol

from wdsremux.core.image_formats import is_image_name
from wdsremux.core.paths import is_file
from wdsremux.sources.rows.embedded import shown
from wdsremux.sources.rows.outages import (
    DEFAULT_GIVE_UP_AFTER_S,
    is_outage,
    read_through_outages,
)

Content = tuple[bytes | None, str | None]
"""The bytes, or None and what is wrong."""

_MAX_BYTES = 1 << 30
_HUB = "hf://datasets/"
_USUAL_EXTENSIONS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", ".webp")


class Fetcher(Protocol):
    """Reads files of another machine; picklable."""

    def __hash__(self) -> int:
        """Equal fetchers share open files."""

    def fetch(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        """Yield the content of each file in order, None for one that does not exist.

        Raises SourceError when the server cannot be reached.
        """

    def open(self, path: str) -> BinaryIO:
        """Return a seekable file. Raises FileNotFoundError and SourceError."""


@dataclass(frozen=True, slots=True)
class AllowedFiles:
    """The files that links may refer to."""

    root: str | None
    """A folder or `hf://datasets/REPO@COMMIT`; None: any local file, for a program's own rows."""
    fetcher: Fetcher | None = None
    """Reads below a root that is not a folder; without a root, reads files of the Hub."""
    remedy: str = ""
    """Remedy for an image outside, for the message."""
    others: tuple[str, ...] = ()
    """Further local folders that paths may refer to."""
    give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S
    """How long a share may be away."""

    def absolute(self, path: str) -> str:
        """Return the full path: a relative one is below the root."""
        if self.root is None or "://" in path or Path(path).is_absolute():
            return path
        return f"{self.root}/{path}"

    def allows(self, path: str) -> bool:
        """Return whether a full path is below the root."""
        if "\0" in path:
            return False
        if self.root is None:
            return "://" not in path or (self.fetcher is not None and path.startswith(_HUB))
        if "://" in self.root:
            return path.startswith(self.root + "/") and ".." not in re.split(r"[/\\]", path)
        return "://" not in path and any(
            Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
            for root in (self.root, *self.others)
        )


@dataclass(frozen=True, slots=True)
class Link:
    """An image by its path in the row."""

    path: str
    allowed: AllowedFiles
    member: str = ""
    """Of the zip at the path; "" where the path itself says it."""

    @property
    def parts(self) -> tuple[str, str]:
        """Return (member of a zip or "", full path of the file)."""
        if self.member:
            return self.member, self.allowed.absolute(self.path)
        inner, chained, outer = self.path.partition("::")
        if chained and inner.startswith("zip://"):
            return inner.removeprefix("zip://"), self.allowed.absolute(outer)
        return "", self.allowed.absolute(self.path)

    @property
    def fetcher(self) -> Fetcher | None:
        """What reads the file; None when it is local, in a zip, or not allowed."""
        member, path = self.parts
        is_fetched = not member and "://" in path and self.allowed.allows(path)
        return self.allowed.fetcher if is_fetched else None


def contents(links: Sequence[Link]) -> Iterator[Content]:
    """Yield the content of each link, in order. Raises SourceError as its fetcher does."""
    paths: dict[Fetcher, list[str]] = {}
    for link in links:
        if link.fetcher:
            paths.setdefault(link.fetcher, []).append(link.parts[1])
    fetched = {fetcher: fetcher.fetch(wanted) for fetcher, wanted in paths.items()}
    for link in links:
        if link.fetcher is None:
            name, patience_s = link.path.partition("::")[0], link.allowed.give_up_after_s
            yield read_through_outages(
                f"the image file {shown(name)}", patience_s, partial(_local, link)
            )
            continue
        content = next(fetched[link.fetcher])
        yield content, _missing(link) if content is None else None


def _missing(link: Link) -> str:
    return f"the image file {shown(link.path)} does not exist"


def _local(link: Link) -> Content:
    member, path = link.parts
    name = shown(link.path.partition("::")[0])
    try:
        if path.startswith(("http://", "https://")):
            return None, f"the image {name} is a URL, outside of the dataset; download it first"
        if not link.allowed.allows(path):
            remedy = f"; {link.allowed.remedy}" if link.allowed.remedy else ""
            return None, f"the image {name} is outside of the dataset{remedy}"
        if member:
            return _zip_member(path, member, link.allowed.fetcher if "://" in path else None)
        file = _existing(path)
        return (None, _missing(link)) if file is None else (file.read_bytes(), None)
    except (OSError, ValueError) as exc:
        if isinstance(exc, OSError) and is_outage(exc):
            raise
        return None, f"cannot read the image file {name}: {exc}"


def _existing(path: str) -> Path | None:
    """Return the file at a path; tables may leave out the extension."""
    extensions = ("",) if is_image_name(path) else ("", *_USUAL_EXTENSIONS)
    found = (Path(path + extension) for extension in extensions)
    return next((file for file in found if is_file(file)), None)


def _zip_member(path: str, member: str, fetcher: Fetcher | None) -> Content:
    try:
        archive = open_zip(path, fetcher)
        if archive.getinfo(member).file_size > _MAX_BYTES:
            return None, f"the zip member {member!r} is larger than 1 GiB"
        return archive.read(member), None
    except KeyError:
        return None, f"the zip does not have a member {member!r}"
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as exc:
        return None, f"cannot read the zip member {member!r}: {exc}"


def open_zip(path: str, fetcher: Fetcher | None) -> zipfile.ZipFile:
    """Return an open zip, local or read by the fetcher; the last few stay open."""
    if fetcher is not None:  # its files are those of one commit
        return _opened_zip(path, fetcher, None)
    state = Path(path).stat()
    return _opened_zip(path, None, (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=4)
def _opened_zip(
    path: str, fetcher: Fetcher | None, _state: tuple[int, ...] | None
) -> zipfile.ZipFile:
    return zipfile.ZipFile(fetcher.open(path) if fetcher else path)
