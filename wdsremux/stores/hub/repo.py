"""One branch of a dataset repository on the Hub: queries, uploads and commits."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    hf_hub_url,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, lazily
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from wdsremux.core.errors import SourceError, StoreError, UnreachableStoreError
from wdsremux.stores.hub.answers import status_of
from wdsremux.stores.hub.errors import OVERTAKEN, is_nothing_there, translating_errors
from wdsremux.stores.hub.ranges import HubAccess, HubFile, PendingRange, RangeClient
from wdsremux.stores.patience import TemporaryError
from wdsremux.stores.reading.range_file import open_ranges

KIND = "dataset"
MAIN = "main"
ASKED_FILES = 100
"""Files of one query."""

_ACCESS = HubAccess(stall_timeout_s=30.0)
_NOT_THERE = (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError)


@dataclass(frozen=True, slots=True)
class PlannedCommit:
    """A commit."""

    operations: Sequence[CommitOperationAdd | CommitOperationDelete]
    message: str
    is_done: Callable[[], bool]
    """Returns whether the newest commit already contains the result of this one."""


class HubRepo:
    """Raises StoreError for whatever `huggingface_hub` raises; may be used by several threads."""

    def __init__(self, repo: str, branch: str) -> None:
        self._repo, self._branch = repo, branch
        self._api = HfApi(library_name="wdsremux")
        self._ranges = RangeClient(_ACCESS)
        self._turn = threading.Lock()
        self._is_made = False
        self._head: str | None = None
        """The parent that our next commit must have; None while it may be any."""
        self._unanswered: PlannedCommit | None = None
        """A commit whose answer was lost: it may have been made."""

    @property
    def url(self) -> str:
        """The URL of the branch."""
        branch = "" if self._branch == MAIN else f"@{self._branch}"
        return f"hf://datasets/{self._repo}{branch}"

    def make(self) -> None:
        """Create the repository, a private one, and the branch, where they do not exist."""
        with self._turn, translating_errors(f"write to {self.url}"):
            if self._is_made:
                return
            try:
                self._api.repo_info(self._repo, repo_type=KIND)
            except RepositoryNotFoundError as exc:
                if not is_nothing_there(exc):
                    raise
                self._api.create_repo(self._repo, repo_type=KIND, private=True, exist_ok=True)
            if self._branch != MAIN:
                self._api.create_branch(
                    self._repo, branch=self._branch, repo_type=KIND, exist_ok=True
                )
            self._is_made = True

    def follow(self) -> None:
        """From now on, make the Hub refuse each commit whose parent is not the newest or ours."""
        self._is_made = False
        self.make()
        self._head, self._unanswered = self._newest(), None

    def unfollow(self) -> None:
        """Allow commits with any parent again."""
        self._head = self._unanswered = None

    def upload(self, additions: Sequence[CommitOperationAdd]) -> None:
        """Upload LFS files, invisible until the commit. Skips what the Hub has already."""
        with translating_errors(f"send files to {self.url}"), _no_bars():
            self._api.preupload_lfs_files(
                self._repo, additions, repo_type=KIND, revision=self._branch, free_memory=False
            )

    def commit(self, attempt: PlannedCommit) -> None:
        """Commit; its parent is the commit that is followed."""
        with self._turn, translating_errors(f"commit to {self.url}"):
            if self._unanswered is not None:
                self._catch_up(self._unanswered)
            self._unanswered = attempt
            try:
                head = self._api.create_commit(
                    self._repo,
                    attempt.operations,
                    commit_message=attempt.message,
                    repo_type=KIND,
                    revision=self._branch,
                    parent_commit=self._head,
                ).oid
            except HfHubHTTPError as exc:
                if status_of(exc) != OVERTAKEN or not self._catch_up(attempt):
                    raise
            else:
                self._unanswered = None
                self._head = head if self._head else None

    def entries(self, names: Sequence[str]) -> dict[str, RepoFile]:
        """Return the entries of those of the files that exist."""
        found: dict[str, RepoFile] = {}
        ask = partial(self._api.get_paths_info, revision=self._branch, repo_type=KIND)
        with translating_errors(f"ask {self.url}"):
            try:
                for start in range(0, len(names), ASKED_FILES):
                    some = ask(self._repo, [*names[start : start + ASKED_FILES]])
                    found |= {e.path: e for e in some if isinstance(e, RepoFile)}
            except _NOT_THERE as exc:
                if not is_nothing_there(exc):
                    raise
        return found

    def files(self, folder: str) -> list[RepoFile]:
        """Return the files of one folder."""
        with translating_errors(f"list {self.url}"):
            try:
                tree = self._api.list_repo_tree(
                    self._repo, folder or None, revision=self._branch, repo_type=KIND
                )
                return [entry for entry in tree if isinstance(entry, RepoFile)]
            except _NOT_THERE as exc:
                if not is_nothing_there(exc):
                    raise
                return []

    def open(self, name: str) -> BinaryIO:
        """Open a file of the newest commit. Raises FileNotFoundError."""
        shown = f"{name!r} of {self.url}"
        at = partial(hf_hub_url, self._repo, name, repo_type=KIND, endpoint=self._api.endpoint)
        found = None
        with translating_errors(f"read {shown}"):
            try:
                found = self._api.get_hf_file_metadata(url=at(revision=self._branch))
            except _NOT_THERE as exc:
                if not is_nothing_there(exc):
                    raise
        if found is None or found.size is None:
            raise FileNotFoundError(f"{self.url} has no file {name!r}")
        file = HubFile(shown, at(revision=found.commit_hash), found.size, _ACCESS)
        return open_ranges(found.size, partial(_fetch, self._ranges, file))

    def _newest(self) -> str | None:
        with translating_errors(f"ask {self.url}"):
            return self._api.repo_info(self._repo, repo_type=KIND, revision=self._branch).sha

    def _catch_up(self, attempt: PlannedCommit) -> bool:
        """Return whether a commit was made after all, and follow the newest if so.

        Its answer may have been lost; then the same commit, tried again, is refused.
        """
        head = self._newest()
        is_done = attempt.is_done()
        # Not before: either may fail, and then the next commit must ask again.
        self._unanswered = None
        if is_done and self._head:
            self._head = head
        return is_done


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """Disable the progress bars of the client, where the user has not set it otherwise."""
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is not None or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _fetch(client: RangeClient, file: HubFile, start: int, stop: int) -> bytes:
    """Get bytes of a file at one commit: one try."""
    pending = PendingRange(start, stop)
    try:
        client.fill(file, pending)
    except TemporaryError as exc:
        raise UnreachableStoreError(
            f"cannot read {file.name}: {exc}; run the same command again later",
            retry_after_s=exc.retry_after_s,
        ) from None
    except SourceError as exc:
        raise StoreError(str(exc)) from None
    return bytes(pending.data)
