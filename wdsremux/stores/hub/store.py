"""A dataset repository on the Hugging Face Hub as store: `hf://datasets/user/name[@branch]`.

Files are published by commits, so a file exists whole or not at all. A repository that does not
exist is created when the first file is published, and it is private. The endpoint is that of
HF_ENDPOINT, and the token the one that `huggingface_hub` finds.

The Hub has no locks. While `lock` is held, every commit names its parent, and the Hub refuses it
when another writer has committed in between: of two writers, one is stopped by an error before it
overwrites files of the other. A lock file would cost two of the commits that the Hub allows in an
hour, and a killed run would leave it behind.
"""

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.hf_api import RepoFile

from wdsremux.core.errors import StoreError, UsageError
from wdsremux.stores.base import OutgoingFile, Proof, Store, Sums
from wdsremux.stores.copying import read_blocks
from wdsremux.stores.hub.errors import translating_errors
from wdsremux.stores.hub.repo import MAIN, HubRepo, PlannedCommit
from wdsremux.stores.spool import SpooledFile

COMMIT_FILES = 100
"""Files of one commit: the Hub limits commits, and committed files are not sent again."""
BATCH_BYTES = 64 << 20
"""Size of a batch of small files: each batch costs a few requests."""
GIT_ATTRIBUTES = ".gitattributes"
"""A file of the Hub, which says what LFS stores; not part of a dataset."""

_URL = re.compile(r"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<branch>[^@]+?))?/?")


def open_hub_store(url: str, _parallel: int = 1) -> "HubStore":
    """Return the repository that `hf://datasets/user/name[@branch]` names, without a request."""
    match = _URL.fullmatch(url)
    if match is None:
        raise UsageError(
            f"{url!r} is not the URL of a dataset repository: write hf://datasets/user/name, or "
            "hf://datasets/user/name@branch"
        )
    return HubStore(HubRepo(match["repo"], match["branch"] or MAIN))


class HubStore(Store):
    """Publishes files in a branch of a dataset repository; may be used by several threads."""

    def __init__(self, repo: HubRepo) -> None:
        self.url, self.endpoint = repo.url, ENDPOINT
        self.files_per_call = COMMIT_FILES
        self._repo = repo
        self._locked = threading.Lock()

    def stage(self, name: str) -> SpooledFile:
        """Begin a new file, which is written on this machine first."""
        return SpooledFile(name, self.put)

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = lambda _: None
    ) -> Proof:
        """Publish a copy of a file by a commit of its own, unless it exists already."""
        return self.put_many([OutgoingFile(name, path, sums)], on_bytes)[name]

    def put_many(
        self, files: Sequence[OutgoingFile], on_bytes: Callable[[int], None] = lambda _: None
    ) -> dict[str, Proof]:
        """Publish files in their order, by a commit for each hundred of them.

        All files of a commit become visible at once, and the last file with the last commit.
        """
        proofs: dict[str, Proof] = {}
        for start in range(0, len(files), COMMIT_FILES):
            proofs |= self._put_group(files[start : start + COMMIT_FILES], on_bytes)
        return proofs

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:
        """Compare the SHA-256 of a file kept by LFS, or the Git blob ID of any other.

        A blob ID is a SHA-1 that the Hub computed: it needs `path`, or the receipt of `put`.
        """
        return _proof(self._repo.entries([name]).get(name), sums, path)

    def open(self, name: str) -> BinaryIO:
        """Open a file of the newest commit, to be read by requests for parts of it."""
        return self._repo.open(name)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the files of one folder, sorted by name."""
        found = sorted((entry.path, entry.size) for entry in self._repo.files(prefix))
        yield from (file for file in found if file[0] != GIT_ATTRIBUTES)

    def remove(self, name: str) -> None:
        """Remove a file by a commit of its own; no error when it does not exist."""
        self.remove_many([name])

    def remove_many(self, names: Sequence[str]) -> None:
        """Remove files by one commit; no error for those that do not exist."""
        there = [*self._repo.entries(names)]
        if there:
            deletions = [CommitOperationDelete(name) for name in there]
            message = f"Remove {_summary(there)}"
            self._repo.commit(
                PlannedCommit(deletions, message, lambda: not self._repo.entries(there))
            )

    @contextlib.contextmanager
    def lock(self, part: str = "") -> Iterator[bool]:  # noqa: ARG002 (commits of all parts follow)
        """Make the Hub refuse our commits after one of another writer, until the block ends.

        Never yields that a run died: such a run leaves only whole commits.
        """
        if not self._locked.acquire(blocking=False):
            raise StoreError(f"{self.url} is being written by this process already; wait for it")
        try:
            self._repo.follow()
            yield False
        finally:
            self._repo.unfollow()
            self._locked.release()

    def _put_group(
        self, files: Sequence[OutgoingFile], on_bytes: Callable[[int], None]
    ) -> dict[str, Proof]:
        """Send and commit what is missing, and ask for proofs."""
        self._repo.make()
        proofs = self._proofs(files)
        missing = [file for file in files if proofs[file.name].level != "checksum"]
        on_bytes(sum(file.sums.size_bytes for file in files if file not in missing))
        if not missing:
            return proofs
        # One batch after the other: the client itself sends parts of a file side by side.
        additions = [each for some in _batches(missing) for each in self._send(some, on_bytes)]
        names = [file.name for file in missing]
        is_done = partial(self._are_there, missing)
        self._repo.commit(PlannedCommit(additions, f"Add {_summary(names)}", is_done))
        proofs |= self._proofs(missing)
        for name in names:
            if proofs[name].level != "checksum":
                raise StoreError(
                    f"{name!r} at {self.url} differs from what was sent ({proofs[name].level}); "
                    "make sure that only one run writes there, then run the same command again"
                )
        return proofs

    def _send(
        self, files: Sequence[OutgoingFile], on_bytes: Callable[[int], None]
    ) -> Sequence[CommitOperationAdd]:
        """Upload files, and return what is to be committed."""
        with translating_errors(f"send {_summary([file.name for file in files])} to {self.url}"):
            additions = [CommitOperationAdd(p.name, p.path) for p in files]
            self._repo.upload(additions)
            for file, addition in zip(files, additions, strict=True):
                # Of the bytes as they were sent, where LFS stores them.
                if addition.upload_info.sha256.hex() != file.sums.sha256:
                    raise StoreError(
                        f"{str(file.path)!r} is damaged: its SHA-256 differs from the recorded one"
                    )
                on_bytes(file.sums.size_bytes)
        return additions

    def _proofs(self, files: Sequence[OutgoingFile]) -> dict[str, Proof]:
        there = self._repo.entries([file.name for file in files])
        return {p.name: _proof(there.get(p.name), p.sums, p.path) for p in files}

    def _are_there(self, files: Sequence[OutgoingFile]) -> bool:
        return all(proof.level == "checksum" for proof in self._proofs(files).values())


def _proof(entry: RepoFile | None, sums: Sums, path: Path | None) -> Proof:
    if entry is None:
        return Proof("absent")
    if entry.size != sums.size_bytes:
        return Proof("differs", f"it has {entry.size} bytes")
    if entry.lfs is not None:
        how = "LFS SHA-256"
        return Proof("checksum" if entry.lfs.sha256 == sums.sha256 else "differs", how)
    blob_id = sums.receipt.get("git_blob_id") or (_git_blob_id(path, sums) if path else None)
    if blob_id is None:
        return Proof("unverified", "size")
    if blob_id != entry.blob_id:
        return Proof("differs", "Git blob ID")
    return Proof("checksum", "Git blob ID", {"git_blob_id": blob_id})


def _git_blob_id(path: Path, sums: Sums) -> str:
    """Return the Git object ID of the content of a file: "Git Objects" in the Git book."""
    digest = hashlib.sha1(b"blob %d\0" % sums.size_bytes, usedforsecurity=False)
    for block in read_blocks(path):
        digest.update(block)
    return digest.hexdigest()


def _batches(files: Sequence[OutgoingFile]) -> Iterator[list[OutgoingFile]]:
    """Yield files that are sent together: a large one alone."""
    batch: list[OutgoingFile] = []
    held = 0
    for file in files:
        if batch and held + file.sums.size_bytes > BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(file)
        held += file.sums.size_bytes
    yield batch


def _summary(names: Sequence[str]) -> str:
    return repr(names[0]) if len(names) == 1 else f"{len(names)} files"
