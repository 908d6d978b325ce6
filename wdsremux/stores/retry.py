"""Keeps a run going through outages of a store: what cannot be reached is tried again for a time.

Retry is a wrapper around any store; a store itself tries once and says whether it may succeed later
(UnreachableStoreError).
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from wdsremux.stores.base import OutgoingFile, Proof, Store, Sums, Version
from wdsremux.stores.patience import SHOWN_AFTER_S, Patience
from wdsremux.stores.spool import SpooledFile

T = TypeVar("T")


class RetryingStore(Store):
    """A store whose calls are repeated until one succeeds or nothing has for `give_up_after_s`.

    Bytes that were stored count as success. May be used by several threads if the inner store may.
    """

    def __init__(
        self,
        store: Store,
        give_up_after_s: float,
        *,
        notify: Callable[[str], None] | None = lambda _message: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`notify` gets the reason when a wait begins; `sleep` may raise, to end the wait.

        Without `notify` (None), servers that fail or are silent for some seconds are reported to
        the run, or to the log.
        """
        self.store = store
        self.url, self.root, self.endpoint = store.url, store.root, store.endpoint
        self.files_per_call = store.files_per_call
        self._give_up_after_s = give_up_after_s
        self._notify = notify
        self._clock = clock
        self._sleep = sleep

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = lambda _: None
    ) -> Proof:
        """Publish a copy of a file; bytes that a repeated try sends again are reported once."""
        patience = self._patience()
        reported = HighWaterMark(on_bytes, patience.succeeded)

        def put() -> Proof:
            reported.begin()
            return self.store.put(name, path, sums, reported)

        return patience.tried(put)

    def put_many(
        self, files: Sequence[OutgoingFile], on_bytes: Callable[[int], None] = lambda _: None
    ) -> Mapping[str, Proof]:
        """Publish copies of files: those of one call to the server are tried again together."""
        if self.files_per_call == 1:
            return super().put_many(files, on_bytes)
        patience = self._patience()
        reported = HighWaterMark(on_bytes, patience.succeeded)

        def put() -> Mapping[str, Proof]:
            reported.begin()
            return self.store.put_many(files, reported)

        return patience.tried(put)

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:
        """Return how sure it is that the store holds these bytes."""
        return self.tried(lambda: self.store.prove(name, sums, path))

    def stage(self, name: str) -> SpooledFile:
        """Begin a new file, on this machine until it is committed: then it is put as by `put`."""
        return SpooledFile(name, self.put)

    def open(self, name: str) -> BinaryIO:
        """Open a published file for reading; raises FileNotFoundError."""
        return self.tried(lambda: self.store.open(name))

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return the content of a small file; None when it does not exist."""
        return self.tried(lambda: self.store.read(name, max_bytes))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the files of one folder, sorted by name."""
        yield from self.tried(lambda: tuple(self.store.list(prefix)))

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """Yield the files that `list` yields, with what proves them where the store lists it."""
        yield from self.tried(lambda: tuple(self.store.versions(prefix)))

    def remove(self, name: str) -> None:
        """Remove a published file; no error when it does not exist."""
        self.tried(lambda: self.store.remove(name))

    def remove_many(self, names: Sequence[str]) -> None:
        """Remove published files, in as few calls as the store can; no error for absent ones."""
        if self.files_per_call == 1:
            super().remove_many(names)
        else:
            self.tried(lambda: self.store.remove_many(names))

    def free_bytes(self) -> int | None:
        """Return how many bytes the store has room for; None where it does not say."""
        return self.tried(self.store.free_bytes)

    @contextlib.contextmanager
    def lock(self, part: str = "") -> Iterator[bool]:
        """Keep other runs away while the block runs."""
        with contextlib.ExitStack() as stack:
            yield self.tried(lambda: stack.enter_context(self.store.lock(part)))

    def tried(self, do: Callable[[], T]) -> T:
        """Call `do` again and again while the store cannot be reached."""
        patience = self._patience()
        if self._notify is not None:
            return patience.tried(do)
        with patience.watched():
            return patience.tried(do)

    def _patience(self) -> Patience:
        return Patience(
            self.url,
            self._give_up_after_s,
            notify=self._notify,
            note_after_s=SHOWN_AFTER_S if self._notify is None else 0.0,
            clock=self._clock,
            sleep=self._sleep,
        )


class HighWaterMark:
    """Reports only bytes beyond those of earlier tries of the same file; thread-safe."""

    def __init__(self, on_bytes: Callable[[int], None], on_more: Callable[[], None]) -> None:
        self._on_bytes = on_bytes
        self._on_more = on_more
        self._lock = threading.Lock()
        self._stored = self._reported = 0

    def begin(self) -> None:
        """Count from zero, as a new try does."""
        with self._lock:
            self._stored = 0

    def __call__(self, size_bytes: int) -> None:
        """Count further bytes of this try, and report what is new."""
        with self._lock:
            self._stored += size_bytes
            more = self._stored - self._reported
            if more > 0:
                self._reported = self._stored
                self._on_more()
        # An empty report, too: the caller may want to stop here.
        self._on_bytes(max(more, 0))
