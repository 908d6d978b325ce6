"""Reads an untrusted folder: no link is followed, no device opened, no name escapes.

The root itself may be reached by a link: the user named it. Everything below is opened step by step
from there, so that nothing can be replaced in between.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO, RawIOBase
from pathlib import Path
from typing import Literal, Protocol, Self

Kind = Literal["file", "folder", "link", "device or pipe"]

MAX_DEPTH = 16
"""Folders below folders that `tree` goes down to."""

_SAFE_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FOLDER_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


class NotAFileError(OSError):
    """A name that leads to a link, a folder or a device, or out of the folder."""


class TooLargeError(OSError):
    """A file that must be held in memory is larger than any file of its kind."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a folder."""

    name: str
    """Relative to the root, with "/"."""
    kind: Kind
    size_bytes: int

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rpartition("/")[2]


class Folder(Protocol):
    """Untrusted files, on a disk or behind a network; may be used by several threads."""

    reads_at_once: int
    """How many small files to fetch side by side."""

    def __enter__(self) -> Self:
        """Return the folder; leaving the block releases what it holds."""

    def __exit__(self, *_exc: object) -> None: ...

    def items(self, folder: str = "") -> list[Item]:
        """Return the entries of a folder, sorted by name; none when it does not exist."""

    def tree(self, folder: str = "") -> Iterator[Item]:
        """Yield everything below a folder except folders, as deep as they are searched."""

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
        """Raise OSError when the root is not a folder or cannot be read.

        With `is_cold` the system is asked to drop the page cache of a file before it is read, so
        that its bytes come from the disk, or from the server of a mount.
        """
        self._is_cold = is_cold
        self._handle = os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self._handle)

    def items(self, folder: str = "") -> list[Item]:
        """Return the entries of a folder, sorted by name; none when it does not exist."""
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
        """Yield everything below a folder except folders; hidden folders are skipped."""
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
            handle = open_in(parent, base, os.O_RDONLY, name)
        finally:
            os.close(parent)
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
        return _opened_folder(os.dup(self._handle), folder)


def open_below(root: Path, name: str, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """Open a regular file below a folder, as `UntrustedFolder.open` does; return a descriptor.

    Also for writing: then the file must not have other hard links. Raises FileNotFoundError,
    NotAFileError, or another OSError.
    """
    folder, _, base = _checked(name).rpartition("/")
    parent = open_folder_below(root, folder)
    try:
        return open_in(parent, base, flags, name, mode)
    finally:
        os.close(parent)


def open_folder_below(root: Path, folder: str) -> int:
    """Return a descriptor of a folder below another; raises as `open_below`."""
    # Some folders may be searched, but not read.
    flags = getattr(os, "O_PATH", os.O_RDONLY) if folder else os.O_RDONLY
    return _opened_folder(os.open(root, flags | os.O_CLOEXEC | os.O_DIRECTORY), folder)


def _opened_folder(handle: int, folder: str) -> int:
    """Descend from an open folder, which is closed."""
    for part in _checked(folder).split("/") if folder else ():
        try:
            below = os.open(part, _FOLDER_FLAGS, dir_fd=handle)
        except OSError as exc:
            # Linux reports ENOTDIR for a link.
            is_link = exc.errno == errno.ENOTDIR and _is_link(part, handle)
            raise _refused(OSError(errno.ELOOP, "a link") if is_link else exc, folder) from exc
        finally:
            os.close(handle)
        handle = below
    return handle


def open_in(
    folder: int, base: str, flags: int = os.O_RDONLY, name: str = "", mode: int = 0o666
) -> int:
    """Open a regular file of an open folder; `name` is shown in errors. Raises as `open_below`."""
    name = name or base
    try:
        handle = os.open(base, flags | _SAFE_FLAGS, mode, dir_fd=folder)
    except OSError as exc:
        # ELOOP: a link. ENXIO: a socket, or a FIFO.
        raise _refused(exc, name) from exc
    status = os.fstat(handle)
    if stat.S_ISDIR(status.st_mode):
        os.close(handle)
        raise NotAFileError(errno.EISDIR, "a folder, not a file", name)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise NotAFileError(errno.EINVAL, "not a regular file", name)
    if flags & (os.O_WRONLY | os.O_RDWR) and status.st_nlink > 1:
        os.close(handle)
        raise NotAFileError(errno.EMLINK, "a file with further hard links", name)
    return handle


def is_safe_name(name: str) -> bool:
    """Return whether a name stays below the folder it is relative to."""
    return "\0" not in name and all(part not in ("", ".", "..") for part in name.split("/"))


def _checked(name: str) -> str:
    if not name or is_safe_name(name):
        return name
    raise NotAFileError(errno.EINVAL, "the name leads out of the folder", name)


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _refused(exc: OSError, name: str) -> OSError:
    if exc.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK):
        what = "a link" if exc.errno == errno.ELOOP else "a link, folder or device"
        return NotAFileError(exc.errno, what, name)
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
