"""Images that a streamed row only names: a file here, on the Hub, or in a zip at either place.

The worker fetches them. What a stranger's dataset names must lie inside that dataset: a path is
never followed to other files of this machine, nor to other servers.
"""

import io
import os
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_url

from wdsremux.errors import SourceError
from wdsremux.sources.http_ranges import Access, Fill, RemoteFile, web_for
from wdsremux.sources.hub_errors import patiently
from wdsremux.sources.patience import Patience, TemporaryError
from wdsremux.sources.remote import read_range

Content = tuple[bytes | None, str | None]
"""The bytes, or None and what is wrong."""

CONNECTIONS = 8
AHEAD = 16
"""Images of the Hub that are held or on their way, for one reader."""
_MAX_BYTES = 1 << 30
_ZIP_BUFFER_BYTES = 1 << 18
_HUB = re.compile(r"hf://datasets/(?P<repo>[^/]+/[^/@]+)@(?P<commit>[0-9a-f]{40})/(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where links may lead."""

    root: str | None
    """A folder, or `hf://datasets/REPO@COMMIT`; None: any file here, for the rows of one's own
    program."""
    access: Access = Access()

    def absolute(self, path: str) -> str:
        """Return a path as a full one: what is relative lies below the root."""
        if self.root is None or "://" in path or Path(path).is_absolute():
            return path
        return f"{self.root}/{path}"

    def allows(self, path: str) -> bool:
        """Return whether a full path lies below the root."""
        if self.root is None:
            return "://" not in path
        if ".." in re.split(r"[/\\]", path) and "://" in path:
            return False
        if self.root.startswith("hf://"):
            return path.startswith(self.root + "/")
        return "://" not in path and Path(os.path.realpath(path)).is_relative_to(
            os.path.realpath(self.root)
        )


@dataclass(frozen=True, slots=True)
class Link:
    """An image by its name, as the row gives it."""

    path: str
    bounds: Bounds

    @property
    def parts(self) -> tuple[str, str]:
        """Return (member of a zip or "", full path of the file)."""
        inner, chained, outer = self.path.partition("::")
        if chained and inner.startswith("zip://"):
            return inner.removeprefix("zip://"), self.bounds.absolute(outer)
        return "", self.bounds.absolute(self.path)


def contents(links: Sequence[Link]) -> Iterator[Content]:
    """Yield the content of each link, in order; those of the Hub come over several connections.

    Raises SourceError when the Hub cannot be reached any more.
    """
    remote = _remote_files([link for link in links if _is_remote_file(link)])
    pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="wdsremux-links") if remote else None
    coming: deque[tuple[Link, _Coming | None]] = deque()
    waiting = iter(links)
    try:
        while True:
            while len(coming) < AHEAD and (link := next(waiting, None)) is not None:
                file = remote.get(link.parts[1]) if _is_remote_file(link) else None
                coming.append((link, _Coming(file, pool) if file and pool else None))
            if not coming:
                return
            link, fetch = coming.popleft()
            yield (fetch.wait(), None) if fetch else _local(link)
    finally:
        if pool:
            pool.shutdown(wait=False, cancel_futures=True)


def _is_remote_file(link: Link) -> bool:
    member, path = link.parts
    return not member and path.startswith("hf://") and link.bounds.allows(path)


class _Coming:
    """One file of the Hub on its way.

    Only tries run in the pool; waiting between tries is done by the reader, so that a program that
    ends does not wait for the whole patience.
    """

    def __init__(self, file: RemoteFile, pool: ThreadPoolExecutor) -> None:
        self._file, self._fill = file, Fill(0, file.size_bytes)
        self._first: Future[None] | None = None
        if file.size_bytes:
            self._first = pool.submit(web_for(file.access).fill, file, self._fill)

    def wait(self) -> bytes:
        patience = Patience(self._file.name, self._file.access.give_up_after_s)
        while self._first or not self._fill.is_full:
            try:
                if self._first:
                    first, self._first = self._first, None
                    first.result()
                else:
                    web_for(self._file.access).fill(self._file, self._fill)
            except TemporaryError as error:
                patience.wait(error)
        return bytes(self._fill.data)


def _remote_files(links: Sequence[Link]) -> dict[str, RemoteFile]:
    """Return the files of the Hub by their full path, with their sizes, those that are there."""
    wanted: dict[tuple[str, str, Access], dict[str, str]] = {}
    for link in links:
        path = link.parts[1]
        if match := _HUB.fullmatch(path):
            place = match["repo"], match["commit"], link.bounds.access
            wanted.setdefault(place, {})[match["name"]] = path
    found = {}
    for (repo, commit, access), paths in wanted.items():
        for name, size in _sizes(repo, commit, tuple(paths), access).items():
            url = hf_hub_url(repo, name, repo_type="dataset", revision=commit)
            found[paths[name]] = RemoteFile(f"{repo} {name}", url, size, access)
    return found


def _sizes(repo: str, commit: str, names: Sequence[str], access: Access) -> dict[str, int]:
    api = HfApi(token=access.token, library_name="wdsremux")

    def ask() -> list[Any]:
        return api.get_paths_info(repo, list(names), repo_type="dataset", revision=commit)

    return {
        entry.path: entry.size for entry in patiently(ask, repo, access) if entry.size is not None
    }


def _local(link: Link) -> Content:
    """Return what a link gives that is no file of the Hub."""
    member, path = link.parts
    name = link.path.partition("::")[0]
    try:
        if "\0" in path or not link.bounds.allows(path):
            return None, f"the image {name!r} lies outside of the dataset"
        if member:
            return _zip_member(path, member, link.bounds.access)
        if path.startswith("hf://") or not Path(path).is_file():
            return None, f"the image file {name!r} is not there"
        return Path(path).read_bytes(), None
    except (OSError, ValueError) as exc:
        return None, f"cannot read the image file {name!r}: {exc}"


def _zip_member(path: str, member: str, access: Access) -> Content:
    try:
        archive = open_zip(path, access)
        if archive.getinfo(member).file_size > _MAX_BYTES:
            return None, f"the zip member {member!r} is larger than 1 GiB"
        return archive.read(member), None
    except KeyError:
        return None, f"the zip has no member {member!r}"
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as exc:
        return None, f"cannot read the zip member {member!r}: {exc}"


@lru_cache(maxsize=4)
def open_zip(path: str, access: Access) -> zipfile.ZipFile:
    """Return a zip of this machine or the Hub; the last few stay open."""
    if not path.startswith("hf://"):
        return zipfile.ZipFile(path)
    file = _remote_files([Link(path, Bounds(path.rpartition("/")[0], access))]).get(path)
    if file is None:
        raise SourceError(f"the Hub has no zip {path!r} any more")
    return zipfile.ZipFile(io.BufferedReader(_RangeFile(file), _ZIP_BUFFER_BYTES))


class _RangeFile(io.RawIOBase):
    """A file of the Hub that can be sought in; every read is a request."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        stop = min(self._file.size_bytes, self._at + len(buffer))
        if stop <= self._at:
            return 0
        data = read_range(self._file, self._at, stop)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
