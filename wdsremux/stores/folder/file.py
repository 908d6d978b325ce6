"""A file of a folder, under a temporary name until it is whole.

It is written under a hidden name in its own folder, synced, closed (which is when NFS reports a
full quota), its size checked, renamed, and the folder synced. The folder stays open meanwhile, so
that it cannot be replaced by a link in between.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.copying import sha256_of
from wdsremux.stores.folder.disk_errors import disk_error
from wdsremux.stores.reading.untrusted import open_folder_below, open_in
from wdsremux.stores.spool import UnfinishedFile

TEMPORARY_SUFFIX = ".wdsremux-tmp"
"""Only our files end so: they may be removed."""


class LocalFile(UnfinishedFile):
    """A file under its temporary name."""

    def __init__(self, root: Path, name: str, check: Callable[[], None] = lambda: None) -> None:
        """`check` raises StoreError where the file must not be published any more."""
        self._path = root / name
        self._check = check
        # Random: two writers of the same file in one process must not share a temporary file.
        mark = f"{socket.gethostname()[:32]}-{os.getpid()}-{os.urandom(3).hex()}"
        mark = mark.replace(os.sep, "_")
        temporary = self._path.with_name(f".{self._path.name}.{mark}{TEMPORARY_SUFFIX}")
        folder = self._folder = open_folder_below(root, name.rpartition("/")[0])
        try:
            # Unbuffered: what we write is large already, and `write` below loops over short writes.
            file = open(  # noqa: SIM115 (closed by seal or discard)
                temporary,
                "wb",
                buffering=0,
                opener=lambda _path, flags: open_in(folder, temporary.name, flags | os.O_EXCL),
            )
        except BaseException:
            os.close(folder)
            raise
        super().__init__(str(self._path), temporary, file)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of data, or raise StoreError and remove the unfinished file."""
        rest = memoryview(data)
        self._size += len(rest)
        file = self._open_file()
        with self._or_discarded():
            while rest:
                rest = rest[file.write(rest) :]

    def seal(self) -> None:
        """Sync and close the file, which still has its temporary name; it takes no more bytes."""
        file = self._open_file()
        with self._or_discarded():
            if not file.closed:
                os.fsync(file.fileno())
                file.close()
            self._check_size()

    def check_sha256(self, sha256: str) -> None:
        """Trust only what is read back: some mounts confirm before the server has the bytes."""
        with self._or_discarded(), FileIO(open_in(self._folder, self._temporary.name)) as file:
            if sha256_of(file) != sha256:
                raise UnreachableStoreError(
                    f"cannot write {self._shown!r}: the bytes read back differ from those "
                    "written; check the disk or the mount"
                )

    def commit(self) -> None:
        """Publish the file, whole and synced, or raise StoreError and remove it."""
        self.seal()
        folder = self._folder
        with self._or_discarded():
            self._check()
            os.replace(self._temporary.name, self._path.name, src_dir_fd=folder, dst_dir_fd=folder)
            _sync(folder)
        self._end()

    def _remove(self) -> None:
        os.unlink(self._temporary.name, dir_fd=self._folder)

    def _end(self) -> None:
        super()._end()
        with contextlib.suppress(OSError):
            os.close(self._folder)

    @contextlib.contextmanager
    def _or_discarded(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            self.discard()
            raise
        except OSError as exc:
            # First: the space that is free after it is what another try will find.
            self.discard()
            raise disk_error("write", self._path, exc, needs_bytes=self._size) from exc

    def _check_size(self) -> None:
        """Trust only what the file system reports: some mounts lose bytes without an error."""
        status = os.stat(self._temporary.name, dir_fd=self._folder, follow_symlinks=False)
        if status.st_size != self._size:
            raise StoreError(
                f"cannot write {self._shown!r}: {self._size} bytes were written "
                f"but the file has {status.st_size}; check the disk and run the same command again"
            )


def sync_folder(folder: Path) -> None:
    """Make names durable; file systems that cannot sync a folder (SMB) are accepted."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder of another user that we may use but not read
    try:
        _sync(handle)
    finally:
        os.close(handle)


def _sync(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
