"""One branch of a dataset repository on the Hub: asked, uploaded to and committed to."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import BinaryIO

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_session,
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
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
    hf_raise_for_status,
)

from wdsremux.core.errors import StoreError
from wdsremux.stores.hub.errors import OVERTAKEN, explained, is_nothing_there, status_of
from wdsremux.stores.reading.range_file import open_ranges

KIND = "dataset"
MAIN = "main"
READ_TIMEOUT_S = 30.0
ASKED_FILES = 100
"""Files of one question."""

_NOT_THERE = (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A commit."""

    operations: Sequence[CommitOperationAdd | CommitOperationDelete]
    message: str
    stands: Callable[[], bool]
    """Returns whether the newest commit has all that this one means to bring about."""


class HubRepo:
    """Says StoreError for whatever `huggingface_hub` raises; may be used by several threads."""

    def __init__(self, repo: str, branch: str) -> None:
        self._repo, self._branch = repo, branch
        self._api = HfApi(library_name="wdsremux")
        self._turn = threading.Lock()
        self._is_made = False
        self._head: str | None = None
        """The commit that ours must follow; None while they may follow any."""
        self._unanswered: Attempt | None = None
        """A commit of which nobody knows whether it stands."""

    @property
    def url(self) -> str:
        """What people call the branch."""
        branch = "" if self._branch == MAIN else f"@{self._branch}"
        return f"hf://datasets/{self._repo}{branch}"

    def make(self) -> None:
        """Make the repository, a private one, and the branch, where they are not there."""
        with self._turn, explained(f"write to {self.url}"):
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
        """Let every commit from now on follow the newest one, or ours after it, or be refused."""
        self._is_made = False
        self.make()
        self._head, self._unanswered = self._newest(), None

    def unfollow(self) -> None:
        """Let commits follow any other."""
        self._head = self._unanswered = None

    def upload(self, additions: Sequence[CommitOperationAdd]) -> None:
        """Send what LFS keeps; nobody sees it yet. Sends nothing that the Hub has already."""
        with explained(f"send files to {self.url}"), _no_bars():
            self._api.preupload_lfs_files(
                self._repo, additions, repo_type=KIND, revision=self._branch, free_memory=False
            )

    def commit(self, attempt: Attempt) -> None:
        """Commit, at the end of what is followed."""
        with self._turn, explained(f"commit to {self.url}"):
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
        """Return what the Hub knows of those of the files that are there."""
        found: dict[str, RepoFile] = {}
        ask = partial(self._api.get_paths_info, revision=self._branch, repo_type=KIND)
        with explained(f"ask {self.url}"):
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
        with explained(f"list {self.url}"):
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
        doing = f"read {name!r} of {self.url}"
        at = partial(hf_hub_url, self._repo, name, repo_type=KIND, endpoint=self._api.endpoint)
        found = None
        with explained(doing):
            try:
                found = self._api.get_hf_file_metadata(url=at(revision=self._branch))
            except _NOT_THERE as exc:
                if not is_nothing_there(exc):
                    raise
        if found is None or found.size is None:
            raise FileNotFoundError(f"{self.url} has no file {name!r}")
        return open_ranges(found.size, partial(_fetch, at(revision=found.commit_hash), doing))

    def _newest(self) -> str | None:
        with explained(f"ask {self.url}"):
            return self._api.repo_info(self._repo, repo_type=KIND, revision=self._branch).sha

    def _catch_up(self, attempt: Attempt) -> bool:
        """Return whether a commit stands after all, and follow the newest if so.

        Its answer may have been lost; then the same commit, tried again, comes too late.
        """
        head = self._newest()
        stands = attempt.stands()
        # Not before: either may fail, and then the next commit has to ask again.
        self._unanswered = None
        if stands and self._head:
            self._head = head
        return stands


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """Let the client draw no bars among ours, where the user has not said what it is to do."""
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is not None or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _fetch(url: str, doing: str, start: int, stop: int) -> bytes:
    """Get bytes of a file at one commit. The client gives the token to the Hub only."""
    headers = {
        **build_hf_headers(library_name="wdsremux"),
        "range": f"bytes={start}-{stop - 1}",
        "accept-encoding": "identity",
    }
    with explained(doing):
        answer = get_session().get(
            url, headers=headers, timeout=READ_TIMEOUT_S, follow_redirects=True
        )
        hf_raise_for_status(answer)
    status, data = answer.status_code, bytes(answer.content)
    if status != HTTPStatus.PARTIAL_CONTENT or len(data) != stop - start:
        raise StoreError(
            f"cannot {doing}: the Hub does not give the part asked for ({status}); look what "
            "stands between that changes its answers"
        )
    return data
