"""Images that a streamed row only names: a file here, on the Hub, or in a zip at either place.

The worker fetches them. What a stranger's dataset names must lie inside that dataset: a path is
never followed to other files of this machine, nor to other servers.
"""

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Protocol

Content = tuple[bytes | None, str | None]
"""The bytes, or None and what is wrong."""

_MAX_BYTES = 1 << 30
_HUB = "hf://datasets/"


class Fetcher(Protocol):
    """Reads files of another machine; picklable."""

    def __hash__(self) -> int:
        """Return the same for equal ones: what is open is kept by fetcher."""

    def fetch(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        """Yield the content of each file in order, None where there is none.

        Raises SourceError when the other side cannot be reached any more.
        """

    def open(self, path: str) -> BinaryIO:
        """Return a file to seek and read in. Raises FileNotFoundError and SourceError."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where links may lead."""

    root: str | None
    """A folder or `hf://datasets/REPO@COMMIT`; None: any file here, for a program's own rows."""
    fetcher: Fetcher | None = None
    """What reads below a root that is no folder; without a root, files of the Hub."""
    remedy: str = ""
    """What to do about an image outside, for the message."""

    def absolute(self, path: str) -> str:
        """Return a path as a full one: what is relative lies below the root."""
        if self.root is None or "://" in path or Path(path).is_absolute():
            return path
        return f"{self.root}/{path}"

    def allows(self, path: str) -> bool:
        """Return whether a full path lies below the root."""
        if "\0" in path:
            return False
        if self.root is None:
            return "://" not in path or (self.fetcher is not None and path.startswith(_HUB))
        if "://" in self.root:
            return path.startswith(self.root + "/") and ".." not in re.split(r"[/\\]", path)
        return "://" not in path and Path(os.path.realpath(path)).is_relative_to(
            os.path.realpath(self.root)
        )


@dataclass(frozen=True, slots=True)
class Link:
    """An image by its name, as the row gives it."""

    path: str
    reach: Reach

    @property
    def parts(self) -> tuple[str, str]:
        """Return (member of a zip or "", full path of the file)."""
        inner, chained, outer = self.path.partition("::")
        if chained and inner.startswith("zip://"):
            return inner.removeprefix("zip://"), self.reach.absolute(outer)
        return "", self.reach.absolute(self.path)

    @property
    def fetcher(self) -> Fetcher | None:
        """What reads the file; None when it lies here, in a zip, or out of reach."""
        member, path = self.parts
        is_fetched = not member and "://" in path and self.reach.allows(path)
        return self.reach.fetcher if is_fetched else None


def contents(links: Sequence[Link]) -> Iterator[Content]:
    """Yield the content of each link, in order. Raises SourceError as its fetcher does."""
    paths: dict[Fetcher, list[str]] = {}
    for link in links:
        if link.fetcher:
            paths.setdefault(link.fetcher, []).append(link.parts[1])
    coming = {fetcher: fetcher.fetch(wanted) for fetcher, wanted in paths.items()}
    for link in links:
        if link.fetcher is None:
            yield _local(link)
            continue
        content = next(coming[link.fetcher])
        yield content, _missing(link) if content is None else None


def _missing(link: Link) -> str:
    return f"the image file {link.path!r} is not there"


def _local(link: Link) -> Content:
    member, path = link.parts
    name = link.path.partition("::")[0]
    try:
        if not link.reach.allows(path):
            remedy = f"; {link.reach.remedy}" if link.reach.remedy else ""
            return None, f"the image {name!r} lies outside of the dataset{remedy}"
        if member:
            return _zip_member(path, member, link.reach.fetcher if "://" in path else None)
        if not Path(path).is_file():
            return None, _missing(link)
        return Path(path).read_bytes(), None
    except (OSError, ValueError) as exc:
        return None, f"cannot read the image file {name!r}: {exc}"


def _zip_member(path: str, member: str, fetcher: Fetcher | None) -> Content:
    try:
        archive = open_zip(path, fetcher)
        if archive.getinfo(member).file_size > _MAX_BYTES:
            return None, f"the zip member {member!r} is larger than 1 GiB"
        return archive.read(member), None
    except KeyError:
        return None, f"the zip has no member {member!r}"
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as exc:
        return None, f"cannot read the zip member {member!r}: {exc}"


def open_zip(path: str, fetcher: Fetcher | None) -> zipfile.ZipFile:
    """Return a zip of this machine or of the fetcher's; the last few stay open."""
    if fetcher is not None:  # its files are those of one commit
        return _opened_zip(path, fetcher, None)
    state = Path(path).stat()
    return _opened_zip(path, None, (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=4)
def _opened_zip(
    path: str, fetcher: Fetcher | None, _state: tuple[int, ...] | None
) -> zipfile.ZipFile:
    return zipfile.ZipFile(fetcher.open(path) if fetcher else path)
