"""Renews the lock file of an output, and recognises a lock that its host no longer renews.

On a mount, the kernel of another host may not see that the holder of a lock has died. So a holder
writes its lock file again every few seconds. The age of a lock is the difference of two times of
the file server: that of the lock, and that of a file written now. The clocks of hosts may differ.
"""

import contextlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from wdsremux.core.errors import StoreError
from wdsremux.stores.folder.file import TEMPORARY_SUFFIX
from wdsremux.stores.reading.untrusted import open_below

LEASE_S = 60.0
"""How long a lock is held after it was renewed."""
RENEW_S = 10.0
POLL_S = 5.0
"""How often a waiting run checks whether the holder renews its lock."""
LEASE_FIELD = "lease_s"
"""Field of a lock file that says that its holder renews it."""
MAX_LOCK_BYTES = 4096

_log = logging.getLogger(__name__)


class FolderLease:
    """Watches one lock file, for the run that takes it and while that run holds it."""

    def __init__(
        self,
        path: Path,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._wait = wait
        self._clock = clock
        self._content: bytes | None = None
        """What the lock file holds while it is ours."""

    def is_abandoned(self, holder: dict[str, Any]) -> bool:
        """Return whether the holder, on another host, has stopped renewing; may take a minute.

        A lock without a lease, of an earlier version, is never abandoned.
        """
        if LEASE_FIELD not in holder:
            return False
        seen = self._seen()
        if seen is None or _parsed(seen[0]) != holder:
            return False
        deadline = self._clock() + LEASE_S
        is_announced = False
        while True:
            # By its own clock as well: some servers take the times of files from their clients.
            left_s = min(deadline - self._clock(), LEASE_S - self._age_s(seen[1]))
            if left_s <= 0:
                return True
            if not is_announced:
                _log.warning(
                    "waiting up to a minute for the lock %r of another host", str(self._path)
                )
                is_announced = True
            self._wait(min(POLL_S, left_s))
            if self._seen() != seen:
                return False

    @contextlib.contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the lock file, which this process has just written, while the block runs."""
        seen = self._seen()
        self._content = None if seen is None else seen[0]
        ended = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(ended,), name="lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()
            self._content = None

    def check(self) -> None:
        """Raise StoreError if another run has taken the lock over."""
        seen = self._seen()
        if self._content is not None and (seen is None or seen[0] != self._content):
            raise StoreError(
                f"lost the lock {str(self._path)!r} (taken over or removed); make sure that only "
                "one run writes here, then run the same command again: finished files are kept"
            )

    def _keep(self, ended: threading.Event) -> None:
        while not ended.wait(RENEW_S):
            # A share that fails now is reported by the next file that is written.
            with contextlib.suppress(OSError, StoreError):
                self.check()
                self._renew()

    def _renew(self) -> None:
        """Write the same bytes again, which sets the time of the file."""
        if self._content is None:
            return
        handle = self._open(os.O_RDWR)
        try:
            os.pwrite(handle, self._content, 0)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _seen(self) -> tuple[bytes, int] | None:
        """Return content and time in ns; opened again, for NFS asks the server only then."""
        try:
            with FileIO(self._open(os.O_RDONLY), "rb") as file:
                content = file.read(MAX_LOCK_BYTES) or b""
                return content, os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            return None

    def _age_s(self, written_ns: int) -> float:
        """Return how long ago the lock was written, by the clock of the file server."""
        with tempfile.NamedTemporaryFile(
            dir=self._path.parent, prefix=".clock.", suffix=TEMPORARY_SUFFIX, buffering=0
        ) as now:
            now.write(b"\n")
            os.fsync(now.fileno())
            return (os.fstat(now.fileno()).st_mtime_ns - written_ns) / 1e9

    def _open(self, flags: int) -> int:
        folder = self._path.parent
        return open_below(folder.parent, f"{folder.name}/{self._path.name}", flags)


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
