"""A file for a remote store: written on this machine first, and put when it is whole."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from wdsremux.core.errors import StoreError
from wdsremux.stores.base import Sums
from wdsremux.stores.copying import close_and_remove


class SpooledFile:
    """Writes a file to the folder for temporary files of the system, and puts it on `commit`."""

    def __init__(self, name: str, put: Callable[[str, Path, Sums], object]) -> None:
        self._name, self._put = name, put
        self._digest, self._size = hashlib.sha256(), 0
        handle, path = tempfile.mkstemp(prefix="wdsremux-")
        self._path = Path(path)
        self._file = os.fdopen(handle, "wb")
        self._is_open = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of data, or raise StoreError and remove the unfinished file."""
        self._check_open()
        try:
            self._file.write(data)
        except OSError as exc:
            self.discard()
            raise self._error(exc) from exc
        self._digest.update(data)
        self._size += len(data)

    def commit(self) -> None:
        """Put the file, or raise StoreError and leave nothing behind."""
        self._check_open()
        try:
            self._file.close()
            self._put(self._name, self._path, Sums(self._size, self._digest.hexdigest()))
        except OSError as exc:
            raise self._error(exc) from exc
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the unfinished file; harmless after `commit` and when called twice."""
        self._is_open = False
        close_and_remove(self._file, self._path)

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreError(f"cannot write {self._name!r}: the file is already closed")

    def _error(self, exc: OSError) -> StoreError:
        return StoreError(
            f"cannot write {self._name!r} to {str(self._path.parent)!r}: "
            f"{exc.strerror or exc}; free some space or set TMPDIR"
        )
