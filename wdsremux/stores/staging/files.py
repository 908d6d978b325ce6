"""One file that is staged for a remote store, and the folder where such files wait."""

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
from wdsremux.stores.base import Parcel, Sums
from wdsremux.stores.folder.lock import folder_lock

_TRIES = 20


class Stage(Protocol):
    """Keeps account of what is staged, and publishes it."""

    def reserve(self, more_bytes: int) -> None:
        """Wait until there is room for more bytes, or nothing that could make room."""

    def give_back(self, reserved_bytes: int) -> None:
        """Take note that so much of what was reserved is not needed."""

    def has_made_room(self) -> bool:
        """Wait until one more file was sent; False when none is on its way."""

    def take(self, parcel: Parcel) -> None:
        """Publish a finished file when its turn comes."""


class StagedFile:
    """A file on its way: written here, and sent after its commit."""

    def __init__(self, stage: Stage, name: str, path: Path) -> None:
        self._stage = stage
        self._name = name
        self._path = path
        self._size = 0
        self._digest = hashlib.sha256()
        self._file: FileIO | None = path.open("xb", buffering=0)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of data, when there is room for it.

        Raises StoreError, also for what went wrong with the files before this one.
        """
        if self._file is None:
            raise StoreError(f"cannot write {self._name!r}: the file is closed already")
        try:
            self._stage.reserve(len(data))
        except BaseException:
            self.discard()
            raise
        self._size += len(data)
        self._digest.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._written(self._file, rest) :]

    def commit(self) -> None:
        """Hand the file over to be published; who waits for that is up to the stage."""
        file, self._file = self._file, None
        if file is None:
            raise StoreError(f"cannot write {self._name!r}: the file is closed already")
        try:
            file.close()
        except OSError as exc:
            raise staging_error(self._path, exc) from exc
        sums = Sums(self._size, self._digest.hexdigest())
        self._stage.take(Parcel(self._name, self._path, sums))

    def discard(self) -> None:
        """Remove the unfinished file; harmless after `commit` and when called twice."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._file = None
        self._stage.give_back(self._size)

    def _written(self, file: FileIO, data: memoryview) -> int:
        while True:
            try:
                return file.write(data)
            except OSError as exc:
                # A full disk is a bound like that of `max_bytes`: what is sent makes room.
                if exc.errno != errno.ENOSPC or not self._stage.has_made_room():
                    self.discard()
                    raise staging_error(self._path, exc) from exc


def staging_folder(address: str, parent: str | None) -> Path:
    """Return where files wait that go to `address_of` a store.

    The same for each run, so that it can be swept.
    """
    name = hashlib.sha256(f"{_user()} {address}".encode()).hexdigest()[:16]
    return Path(parent or tempfile.gettempdir()).expanduser() / f"wdsremux-staging-{name}"


@contextlib.contextmanager
def scratch_folder(address: str) -> Iterator[Path]:
    """Give a folder for files that lie here for a moment, while the block runs.

    Removes those of killed runs to the same address. Those of living ones are locked: not every
    store keeps other runs away.
    """
    place = staging_folder(address, None)
    for left in place.parent.glob(f"{place.name}-*"):
        with contextlib.suppress(OSError, StoreError):
            # In a folder for all, somebody else may have made one of that name.
            if left.lstat().st_uid == _user() and not left.is_symlink():
                with folder_lock(left / "lock"):
                    shutil.rmtree(left)
    with contextlib.ExitStack() as stack:
        with scratch_errors(place.parent):
            folder = _locked_folder(place, stack)
        yield folder


def _locked_folder(place: Path, stack: contextlib.ExitStack) -> Path:
    """Make a folder of our own, which the stack unlocks and removes."""
    for tries_left in reversed(range(_TRIES)):
        folder = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=place.parent))
        # What cannot be removed is swept away by the next run.
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            stack.enter_context(folder_lock(folder / "lock"))
        except (FileNotFoundError, StoreError):
            # Before it was locked, another run took it for one left behind.
            if not tries_left:
                raise
        else:
            return folder
    raise AssertionError


@contextlib.contextmanager
def scratch_errors(folder: Path) -> Iterator[None]:
    """Translate what goes wrong while something is written where it lies for a moment."""
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"cannot keep files in {str(folder)!r} for a moment: {exc.strerror or exc}; free some "
            "space, or name another folder by TMPDIR"
        ) from exc


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def staging_error(path: Path, exc: OSError) -> StoreError:
    """Return what to say when the staging folder fails."""
    return StoreError(
        f"cannot stage {str(path)!r}: {exc.strerror or exc}; make room there, or name another "
        "folder with --staging, then run the same command again: finished shards stay"
    )
