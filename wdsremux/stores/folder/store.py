"""A folder as store: on a local disk, or on a mounted NAS."""

import contextlib
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from wdsremux.core.errors import StoreError
from wdsremux.core.manifest import ENERGON_FOLDER, STATE_FOLDER
from wdsremux.core.paths import exists, is_folder
from wdsremux.stores.base import Proof, Store, Sums, read_bounded
from wdsremux.stores.copying import hashed_blocks, refuse_name, sha256_of
from wdsremux.stores.folder.disk_errors import disk_error, free_bytes, translating_errors
from wdsremux.stores.folder.file import TEMPORARY_SUFFIX, LocalFile, sync_folder
from wdsremux.stores.folder.lease import FolderLease
from wdsremux.stores.folder.lock import folder_lock
from wdsremux.stores.folder.mounts import reads_from_disk
from wdsremux.stores.reading.untrusted import open_below, open_folder_below

SILLY_PREFIXES = (".nfs", ".fuse_hidden")
"""Prefixes that network mounts use for a file that was removed while it was open."""
REREAD = Proof("reread", "SHA-256 of the bytes read back")
CACHED = Proof(
    "unverified", "bytes read back, perhaps from the cache of a network mount", is_noted=True
)


class FolderStore(Store):
    """Publishes files in a folder, which it creates when the first file is staged."""

    root: Path

    def __init__(self, root: Path, url: str | None = None) -> None:
        """`url` is the folder as the user wrote it."""
        self.root = root
        self.url = str(root) if url is None else url
        self._lease: FolderLease | None = None
        """That of the lock, while this store holds it."""

    def stage(self, name: str) -> LocalFile:
        """Begin a new file."""
        path = self.root / name
        with translating_errors("write", path):
            _make_folder(path.parent)
            return LocalFile(self.root, name, self._check_lock)

    def _check_lock(self) -> None:
        """Raise StoreError if another run has taken over the lock that this store holds."""
        if self._lease is not None:
            self._lease.check()

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = lambda _: None
    ) -> Proof:
        """Publish a copy of a file whole, once it was read back from the disk."""
        refuse_name(name)
        staged = self.stage(name)
        try:
            for block in hashed_blocks(path, sums):
                staged.write(block)
                on_bytes(len(block))
            staged.seal()
            staged.check_sha256(sums.sha256)
            staged.commit()
        finally:
            staged.discard()
        return self._proof_by_reading()

    def _proof_by_reading(self) -> Proof:
        """Return what it proves that bytes were read back and are right."""
        return REREAD if reads_from_disk(self.root) else CACHED

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:  # noqa: ARG002 (the contract's)
        """Read a published file back and compare."""
        there = self.root / name
        with translating_errors("read", there):
            try:
                file = FileIO(open_below(self.root, name), "rb")
            except FileNotFoundError:
                return Proof("absent")
            with file:
                size_bytes = os.fstat(file.fileno()).st_size
                is_same = size_bytes == sums.size_bytes and sha256_of(file) == sums.sha256
        if not is_same:
            return Proof("differs", f"it has {size_bytes} bytes")
        return self._proof_by_reading()

    def open(self, name: str) -> BinaryIO:
        """Open a published file for reading; raises FileNotFoundError."""
        path = self.root / name
        try:
            return os.fdopen(open_below(self.root, name), "rb")
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise disk_error("read", path, exc) from exc

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return the content of a small file; None when it does not exist."""
        # A disk may open a file that it cannot read.
        with translating_errors("read", self.root / name):
            try:
                with self.open(name) as file:
                    return read_bounded(file, name, max_bytes)
            except FileNotFoundError:
                return None

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the files of one folder, sorted by name."""
        with translating_errors("read", self.root / prefix):
            try:
                folder = open_folder_below(self.root, prefix.rstrip("/"))
            except (FileNotFoundError, NotADirectoryError):
                return
            try:
                found = sorted(_files_in(folder))
            finally:
                os.close(folder)
        for name, size in found:
            yield (f"{prefix.rstrip('/')}/{name}" if prefix else name), size

    def remove(self, name: str) -> None:
        """Remove a published file; no error when it is not there."""
        path = self.root / name
        with translating_errors("remove", path), contextlib.suppress(FileNotFoundError):
            folder = open_folder_below(self.root, name.rpartition("/")[0])
            try:
                os.unlink(path.name, dir_fd=folder)
            finally:
                os.close(folder)

    def free_bytes(self) -> int | None:
        """Return the room on the file system where the folder is, or is going to be."""
        return free_bytes(self.root)

    @contextlib.contextmanager
    def lock(self, part: str = "") -> Iterator[bool]:
        """Keep other runs away while the block runs; removes what a killed one left.

        With `part`, only other runs of that part, and what they left stays.
        Yields whether the run before died. A run that a signal stopped may have left a file
        half-written anywhere.
        """
        state = self.root / STATE_FOLDER
        with translating_errors("write", state):
            if state.is_symlink():
                raise StoreError(
                    f"{str(state)!r} is a symbolic link; the state folder must be a real folder "
                    "inside the output: remove the link"
                )
            _make_folder(state)
        try:
            with contextlib.ExitStack() as stack:
                path = state / f"lock{part}"
                lease = FolderLease(path)
                with translating_errors("lock", state):
                    if not part:
                        _refuse_parts(state)
                    died = stack.enter_context(folder_lock(path, lease))
                self._lease = lease
                if not part:
                    self._sweep()
                try:
                    yield died
                finally:
                    self._lease = None
                    # What a failing disk refuses has been reported already.
                    with contextlib.suppress(StoreError):
                        if not part:
                            self._sweep()
        finally:
            # A refused folder is left as it was: an empty state folder is removed.
            with contextlib.suppress(OSError):
                state.rmdir()

    def _sweep(self) -> None:
        """Remove temporary files of wdsremux; only the holder of the lock may."""
        for folder in (self.root / name for name in ("", STATE_FOLDER, ENERGON_FOLDER)):
            with translating_errors("read", folder):
                if folder.is_symlink() or not is_folder(folder):
                    continue
                left = [path for path in folder.iterdir() if _is_temporary(path.name)]
            for path in left:
                with translating_errors("remove", path):
                    if path.is_file() and not path.is_symlink():
                        path.unlink(missing_ok=True)


def _refuse_parts(state: Path) -> None:
    """Raise StoreError naming the holder where a part of the output is being written."""
    for path in state.glob("lock-*"):
        with folder_lock(path, FolderLease(path)):
            pass


def _files_in(folder: int) -> Iterator[tuple[str, int]]:
    """Yield (name, size in bytes) of the files of an open folder that a run may have published."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and not _is_private(entry.name):
                yield entry.name, entry.stat(follow_symlinks=False).st_size


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def _is_private(name: str) -> bool:
    return (
        _is_temporary(name)
        or name == "lock"
        or name.startswith("lock-")
        or name.startswith(SILLY_PREFIXES)
    )


def _make_folder(folder: Path) -> None:
    """Create a folder, and those above it, so that they survive a power cut."""
    if is_folder(folder):
        return
    # Again: another thread may have created it in between.
    if (folder.is_symlink() or exists(folder)) and not is_folder(folder):
        raise StoreError(
            f"cannot write below {str(folder)!r}, which is not a folder; choose another output, or "
            "move it away"
        )
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
