"""Images of a Hub dataset whose rows hold only their paths: fetched by the worker, in parallel."""

import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO

from huggingface_hub import HfApi, hf_hub_url

from wdsremux.sources.hub.errors import with_retries
from wdsremux.stores.hub.ranges import HubAccess, HubFile, PendingRange, range_client
from wdsremux.stores.hub.reader import read_range
from wdsremux.stores.patience import ReadingPatience, TemporaryError

CONNECTIONS = 8
AHEAD = 16
"""Images held or in flight, for one reader."""
_BUFFER_BYTES = 1 << 18
_FILE = re.compile(r"hf://datasets/(?P<repo>[^/]+/[^/@]+)@(?P<commit>[0-9a-f]{40})/(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class HubFetcher:
    """Reads files `hf://datasets/REPO@COMMIT/NAME`; is pickled into units."""

    access: HubAccess

    def fetch(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        """Yield the content of each file in order, None for one that does not exist.

        Raises SourceError when the Hub cannot be reached.
        """
        files = self._files(paths)
        pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="wdsremux-links")
        pending: deque[_PendingFile | None] = deque()
        waiting = iter(paths)
        try:
            while True:
                while len(pending) < AHEAD and (path := next(waiting, None)) is not None:
                    pending.append(_PendingFile(files[path], pool) if path in files else None)
                if not pending:
                    return
                first = pending.popleft()
                yield first.wait() if first else None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def open(self, path: str) -> BinaryIO:
        """Return a seekable file, read by requests. Raises FileNotFoundError and SourceError."""
        file = self._files([path]).get(path)
        if file is None:
            raise FileNotFoundError(f"the Hub has no file {path!r}")
        return io.BufferedReader(_HubRangeFile(file), _BUFFER_BYTES)

    def _files(self, paths: Sequence[str]) -> dict[str, HubFile]:
        """Return the files that exist, by path."""
        wanted: dict[tuple[str, str], dict[str, str]] = {}
        for path in paths:
            if match := _FILE.fullmatch(path):
                wanted.setdefault((match["repo"], match["commit"]), {})[match["name"]] = path
        found = {}
        for (repo, commit), by_name in wanted.items():
            for name, size in self._sizes(repo, commit, list(by_name)).items():
                url = hf_hub_url(repo, name, repo_type="dataset", revision=commit)
                found[by_name[name]] = HubFile(f"{repo} {name}", url, size, self.access)
        return found

    def _sizes(self, repo: str, commit: str, names: list[str]) -> dict[str, int]:
        api = HfApi(token=self.access.token, library_name="wdsremux")

        def ask() -> list[Any]:
            return api.get_paths_info(repo, names, repo_type="dataset", revision=commit)

        entries = with_retries(ask, repo, self.access)
        # A folder has no size.
        return {e.path: e.size for e in entries if getattr(e, "size", None) is not None}


class _PendingFile:
    """One file in flight.

    Only tries run in the pool; waiting between tries is done by the reader, so that a program that
    ends does not wait for the whole patience.
    """

    def __init__(self, file: HubFile, pool: ThreadPoolExecutor) -> None:
        self._file, self._pending = file, PendingRange(0, file.size_bytes)
        self._first: Future[None] | None = None
        if file.size_bytes:
            self._first = pool.submit(range_client(file.access).fill, file, self._pending)

    def wait(self) -> bytes:
        patience = ReadingPatience(self._file.name, self._file.access.give_up_after_s)
        while self._first or not self._pending.is_full:
            try:
                if self._first:
                    first, self._first = self._first, None
                    first.result()
                else:
                    range_client(self._file.access).fill(self._file, self._pending)
            except TemporaryError as error:
                patience.wait(error)
        return bytes(self._pending.data)


class _HubRangeFile(io.RawIOBase):
    """A seekable file of the Hub; every read is a request."""

    def __init__(self, file: HubFile) -> None:
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
