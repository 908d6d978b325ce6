"""Reads a folder that nobody vouches for: no link is followed, no device opened, no name escapes.

The root itself may be reached by a link: the user named it. Everything below is opened step by step
from there, so that nothing can be exchanged under the reader's feet.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO, RawIOBase
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

Kind = Literal["file", "folder", "link", "device or pipe"]

MAX_DEPTH = 16
"""Folders below folders that `tree` goes down to."""

_FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FOLDER_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


class NotAFileError(OSError):
    """What stands under a name is a link, a folder, a device, or the name leads out."""


class TooLargeError(OSError):
    """A file that must be held in memory is larger than anything of its kind."""


@dataclass(frozen=True, slots=True)
class Item:
    """What lies in a folder."""

    name: str
    """Relative to the root, with "/"."""
    kind: Kind
    size_bytes: int

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rpartition("/")[2]


class Folder(Protocol):
    """Files that nobody vouches for, wherever they lie; may be used by several threads."""

    reads_at_once: int
    """How many small files to fetch side by side."""

    def __enter__(self) -> Self:
        """Return the folder; leaving the block lets go of what it holds."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None: ...

    def items(self, folder: str = "") -> list[Item]:
        """Return what lies in a folder, sorted by name; nothing when the folder is not there."""

    def tree(self, folder: str = "") -> Iterator[Item]:
        """Yield everything below a folder but folders, as far as they are looked into."""

    def open(self, name: str) -> RawIOBase:
        """Open a regular file for reading; the caller closes it.

        Raises FileNotFoundError, NotAFileError, or another OSError.
        """

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return a file's content, None without the file; raises TooLargeError, or as `open`."""


class UntrustedFolder:
    """An open folder; a context manager. May be used by several threads."""

    reads_at_once = 1

    def __init__(self, root: Path, *, is_cold: bool = False) -> None:
        """Raise OSError when the root is no folder or cannot be read.

        With `is_cold` the system is asked to forget what it holds of a file in memory before it is
        read: what comes then comes from the disk, or from the server of a mount, where it can.
        """
        self._is_cold = is_cold
        self._handle = os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        os.close(self._handle)

    def items(self, folder: str = "") -> list[Item]:
        """Return what lies in a folder, sorted by name; nothing when the folder is not there."""
        try:
            handle = self.open_folder(folder)
        except FileNotFoundError:
            return []
        prefix = f"{folder}/" if folder else ""
        try:
            with os.scandir(handle) as entries:
                found = [
                    Item(prefix + entry.name, _kind_of(status.st_mode), status.st_size)
                    for entry in entries
                    if (status := _status(entry)) is not None
                ]
        finally:
            os.close(handle)
        return sorted(found, key=lambda item: os.fsencode(item.name))

    def tree(self, folder: str = "", depth: int = MAX_DEPTH) -> Iterator[Item]:
        """Yield everything below a folder but folders; hidden folders are passed over."""
        for item in self.items(folder):
            if item.kind != "folder":
                yield item
            elif depth and not item.base.startswith("."):
                yield from self.tree(item.name, depth - 1)

    def open(self, name: str) -> FileIO:
        """Open a regular file for reading, unbuffered; the caller closes it.

        Raises FileNotFoundError, NotAFileError, or another OSError.
        """
        folder, _, base = _checked(name).rpartition("/")
        parent = self.open_folder(folder)
        try:
            handle = os.open(base, _FILE_FLAGS, dir_fd=parent)
        except OSError as exc:
            # ELOOP: a link. ENXIO: a socket, or a FIFO.
            raise _refused(exc, name) from exc
        finally:
            os.close(parent)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise NotAFileError(errno.EINVAL, "not a regular file", name)
        if self._is_cold and hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        return FileIO(handle, "rb")

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return a file's content, None without the file; raises TooLargeError, or as `open`."""
        try:
            file = self.open(name)
        except FileNotFoundError:
            return None
        with file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise TooLargeError(errno.EFBIG, f"larger than {max_bytes} bytes", name)
            return file.readall()

    def open_folder(self, folder: str = "") -> int:
        """Return a descriptor of a folder below the root; the caller closes it."""
        handle = os.dup(self._handle)
        for part in _checked(folder).split("/") if folder else ():
            try:
                below = os.open(part, _FOLDER_FLAGS, dir_fd=handle)
            except OSError as exc:
                raise _refused(exc, folder) from exc
            finally:
                os.close(handle)
            handle = below
        return handle


def is_safe_name(name: str) -> bool:
    """Return whether a name stays below the folder it is relative to."""
    return "\0" not in name and all(part not in ("", ".", "..") for part in name.split("/"))


def _checked(name: str) -> str:
    if not name or is_safe_name(name):
        return name
    raise NotAFileError(errno.EINVAL, "the name leads out of the folder", name)


def _refused(exc: OSError, name: str) -> OSError:
    if exc.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK):
        return NotAFileError(exc.errno, "a link, folder or device", name)
    return exc


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # removed since the folder was read
        return None


def _kind_of(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "device or pipe"
