"""Errors of a disk or a mount as messages: what happened and what to do about it."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.core.paths import is_folder
from wdsremux.stores.reading.untrusted import NotAFileError

_PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
"""Errors of mounts whose server is away; all others are permanent."""


def free_bytes(root: Path) -> int | None:
    """Return the room on the file system where a folder is, or is going to be."""
    folder = root.absolute()
    try:
        while not is_folder(folder) and folder != folder.parent:
            folder = folder.parent
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    # Some network mounts do not report their size.
    return usage.free if usage.total else None


@contextlib.contextmanager
def translating_errors(verb: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that says what to do about it."""
    try:
        yield
    except OSError as exc:
        raise disk_error(verb, path, exc) from exc


def disk_error(verb: str, path: Path, exc: OSError, *, needs_bytes: int = 0) -> StoreError:
    """Return what to raise in place of an OSError."""
    what = exc.strerror or str(exc)
    if exc.errno == errno.ENOSPC:
        what += _room(path, needs_bytes)
    kind = UnreachableStoreError if exc.errno in _PASSING else StoreError
    return kind(f"cannot {verb} {str(path)!r}: {what}; {_remedy(exc)}")


def _room(path: Path, needs_bytes: int) -> str:
    """Say what a file needs, as far as is known, and what is free."""
    free = free_bytes(path.parent)
    if free is None or not needs_bytes:
        return ""
    if free >= needs_bytes:
        return f" (but {free} bytes are free: check for a quota, or for too many files)"
    return f" (it needs at least {needs_bytes} bytes, {free} are free)"


def _remedy(exc: OSError) -> str:
    again = "then run the same command again: finished shards are kept"
    if exc.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return f"free some space, {again}"
    if exc.errno == errno.EFBIG:
        return f"raise the file size limit or lower --max-shard-size, {again}"
    if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"make the folder writable, {again}"
    if exc.errno in (errno.ENOTDIR, errno.EEXIST):
        return "choose another folder: a file has that name"
    if exc.errno == errno.EISDIR or isinstance(exc, NotAFileError):
        what = "folder" if exc.errno == errno.EISDIR else "link or file"
        return f"move that {what} away, {again}"
    return f"check the disk or the mount, {again}"
