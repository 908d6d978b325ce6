"""Files that are being written on this machine, for any store.

For a remote store they are written whole first, and put then.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from wdsremux.core.errors import StoreError
from wdsremux.stores.base import Sums


class UnfinishedFile:
    """A file that is removed unless it is committed."""

    def __init__(self, shown: str, temporary: Path, file: FileIO) -> None:
        """`shown` is the name in messages, `temporary` where the file is until then."""
        self._shown, self._temporary, self._size = shown, temporary, 0
        self._file: FileIO | None = file

    def discard(self) -> None:
        """Remove the unfinished file, as far as the disk allows.

        Harmless after `commit` and when called twice.
        """
        if self._file is not None:
            for remove in (self._file.close, self._remove):
                with contextlib.suppress(OSError):
                    remove()
            self._end()

    def _remove(self) -> None:
        self._temporary.unlink()

    def _end(self) -> None:
        """Take no more bytes."""
        self._file = None

    def _open_file(self) -> FileIO:
        if self._file is None:
            raise StoreError(f"cannot write {self._shown!r}: the file is already closed")
        return self._file


class SpooledFile(UnfinishedFile):
    """Writes a file to the folder for temporary files of the system, and puts it on `commit`."""

    def __init__(self, name: str, put: Callable[[str, Path, Sums], object]) -> None:
        self._put, self._digest = put, hashlib.sha256()
        handle, path = tempfile.mkstemp(prefix="wdsremux-")
        super().__init__(name, Path(path), FileIO(handle, "wb"))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of data, or raise StoreError and remove the unfinished file."""
        file, rest = self._open_file(), memoryview(data)
        self._size += len(rest)
        self._digest.update(rest)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as exc:
            self.discard()
            raise self._error(exc) from exc

    def commit(self) -> None:
        """Put the file, or raise StoreError and leave nothing behind."""
        try:
            self._open_file().close()
            self._put(self._shown, self._temporary, Sums(self._size, self._digest.hexdigest()))
        except OSError as exc:
            raise self._error(exc) from exc
        finally:
            self.discard()

    def _error(self, exc: OSError) -> StoreError:
        return StoreError(
            f"cannot write {self._shown!r} to {str(self._temporary.parent)!r}: "
            f"{exc.strerror or exc}; free some space or set TMPDIR"
        )
