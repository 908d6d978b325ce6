"""Files that are staged for a remote store, and the folder where they wait."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Protocol

from wdsremux.core.errors import StoreError
from wdsremux.stores.base import OutgoingFile, Sums
from wdsremux.stores.folder.lock import folder_lock
from wdsremux.stores.spool import UnfinishedFile

_TRIES = 20


class StagingSpace(Protocol):
    """Counts what is staged, and publishes it."""

    def reserve(self, more_bytes: int) -> None:
        """Wait until there is room for more bytes, or no upload that could make room."""

    def release(self, reserved_bytes: int) -> None:
        """Release reserved bytes that are not needed."""

    def has_made_room(self) -> bool:
        """Wait until one more file was sent; False when none is queued."""

    def take(self, file: OutgoingFile) -> None:
        """Publish a finished file when its turn comes."""


class StagedFile(UnfinishedFile):
    """A file that is written on this machine, and sent after its commit."""

    def __init__(self, space: StagingSpace, name: str, path: Path) -> None:
        self._space, self._digest = space, hashlib.sha256()
        super().__init__(name, path, path.open("xb", buffering=0))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of data, when there is room for it.

        Raises StoreError, also for errors of the files before this one.
        """
        file, rest = self._open_file(), memoryview(data)
        try:
            self._space.reserve(len(rest))
        except BaseException:
            self.discard()
            raise
        self._size += len(rest)
        self._digest.update(rest)
        while rest:
            rest = rest[self._written(file, rest) :]

    def commit(self) -> None:
        """Queue the file to be published; the staging store decides whether to wait for it."""
        file = self._open_file()
        self._end()
        try:
            file.close()
        except OSError as exc:
            raise staging_error(self._temporary, exc) from exc
        sums = Sums(self._size, self._digest.hexdigest())
        self._space.take(OutgoingFile(self._shown, self._temporary, sums))

    def discard(self) -> None:
        """Remove the unfinished file; harmless after `commit` and when called twice."""
        if self._file is not None:
            super().discard()
            self._space.release(self._size)

    def _written(self, file: FileIO, data: memoryview) -> int:
        while True:
            try:
                return file.write(data)
            except OSError as exc:
                # A full disk is a bound like `max_bytes`: finished uploads make room.
                if exc.errno != errno.ENOSPC or not self._space.has_made_room():
                    self.discard()
                    raise staging_error(self._temporary, exc) from exc


def staging_folder(address: str, parent: str | None) -> Path:
    """Return the folder for files that are sent to `address_of` a store.

    The same for each run, so that it can be cleaned up.
    """
    name = hashlib.sha256(f"{os.getuid()} {address}".encode()).hexdigest()[:16]
    folder = Path(parent or tempfile.gettempdir()).expanduser()
    # Absolute: the user's code may change the working directory.
    return folder.absolute() / f"wdsremux-staging-{name}"


@contextlib.contextmanager
def scratch_folder(address: str, parent: str | None = None) -> Iterator[Path]:
    """Yield a folder for temporary files below `parent`, while the block runs.

    Removes those of killed runs to the same address. Those of running ones are locked: not every
    store keeps other runs away.
    """
    base = staging_folder(address, parent)
    for left in base.parent.glob(f"{base.name}-*"):
        with contextlib.suppress(OSError, StoreError):
            # In a shared folder, another user may have created one of that name.
            if left.lstat().st_uid == os.getuid() and not left.is_symlink():
                with folder_lock(left / "lock"):
                    shutil.rmtree(left)
    with contextlib.ExitStack() as stack:
        remedy = "set TMPDIR" if parent is None else "use --scratch"
        with scratch_errors(base.parent, f"{remedy} to name another folder"):
            folder = _locked_folder(base, stack)
        yield folder


def _locked_folder(base: Path, stack: contextlib.ExitStack) -> Path:
    """Create a folder of our own, which the stack unlocks and removes."""
    for tries_left in reversed(range(_TRIES)):
        folder = Path(tempfile.mkdtemp(prefix=f"{base.name}-", dir=base.parent))
        # The next run removes what cannot be removed now.
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            stack.enter_context(folder_lock(folder / "lock"))
        except (FileNotFoundError, StoreError):
            # Another run removed it as left behind before it was locked.
            if not tries_left:
                raise
        else:
            return folder
    raise AssertionError


@contextlib.contextmanager
def scratch_errors(
    folder: Path, remedy: str = "set TMPDIR to name another folder"
) -> Iterator[None]:
    """Translate errors of writing temporary files."""
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"cannot write temporary files in {str(folder)!r}: {exc.strerror or exc}; free some "
            f"space, or {remedy}"
        ) from exc


def staging_error(path: Path, exc: OSError) -> StoreError:
    """Return the error for a failure of the staging folder."""
    return StoreError(
        f"cannot stage {str(path)!r}: {exc.strerror or exc}; free some space, or use another "
        "folder with --staging, then run the same command again: finished shards are kept"
    )
