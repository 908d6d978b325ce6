"""Sends finished files to a remote store in the background: one thread, in their order."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from wdsremux.core.errors import StoreError, UnreachableStoreError, WdsremuxError
from wdsremux.stores.base import OutgoingFile, Proof, Store
from wdsremux.stores.patience import MAX_ASKED_WAIT_S
from wdsremux.stores.retry import RetryingStore

ENDS_WITHIN_S = 30.0
"""How long a run that was not interrupted waits for an upload to end."""
STOPS_WITHIN_S = 2.0
"""How long to wait for an upload to end; the process may end before it."""


@dataclass(slots=True)
class _Outage:
    """The store cannot be reached."""

    began: float
    since: float
    """When it last stored bytes, or failed first, or the end of the pause that it asks for."""
    error: StoreError


class _Stopped(Exception):  # noqa: N818 (it is a signal to our own thread, not an error)
    """Ends an upload that is not needed any more."""


def _nothing() -> None:
    pass


class Uploader:
    """An ordered queue of files to a remote store.

    A file that cannot be sent is tried again without end: only a caller that waits for it, in
    `wait_until`, gives up on it. Any other failure ends the queue, and the next call raises it: a
    file is never published without those before it.

    All methods are for one thread, that of the caller; `notify` is called in it too, `on_sent` in
    the thread that sends.
    """

    def __init__(
        self,
        remote: Store,
        *,
        give_up_after_s: float,
        notify: Callable[[str], None],
        on_sent: Callable[[OutgoingFile, Proof], None] = lambda _file, _proof: None,
    ) -> None:
        """`notify` is called once when an outage begins, and once when it is over."""
        self._remote = remote
        self._give_up_after_s = give_up_after_s
        self._notify = notify
        self._on_sent = on_sent
        self._changed = threading.Condition()
        self._queue: deque[OutgoingFile] = deque()
        """The first of them are being sent."""
        self._queued_bytes = 0
        self._notes: deque[str] = deque()
        self._outage: _Outage | None = None
        self._failure: BaseException | None = None
        self._is_stopping = False
        self._is_working = False
        self._when_ended: list[Callable[[], object]] = []
        self._thread: threading.Thread | None = None

    @property
    def files(self) -> int:
        """How many files are not published yet."""
        return len(self._queue)

    @property
    def queued_bytes(self) -> int:
        """The size of these files."""
        return self._queued_bytes

    def holds(self, name: str) -> bool:
        """Return whether a file of that name is not published yet."""
        with self._changed:
            return any(file.name == name for file in self._queue)

    def add(self, file: OutgoingFile) -> None:
        """Queue a file; it must not change until it is sent."""
        with self._changed:
            self._queue.append(file)
            self._queued_bytes += file.sums.size_bytes
            self._changed.notify_all()
        if self._thread is None:
            self._is_working = True
            self._thread = threading.Thread(target=self._work, name="wdsremux-upload", daemon=True)
            self._thread.start()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition that uploads can fulfil.

        Raises what ended the queue, or UnreachableStoreError when nothing could be sent for
        `give_up_after_s` since this call.
        """
        began = time.monotonic()
        while True:
            with self._changed:
                notes = [*self._notes]
                self._notes.clear()
                if not notes:
                    if self._failure is not None:
                        raise self._failure
                    if holds():
                        return
                    self._changed.wait(self._patience_s(began))
            for note in notes:
                self._notify(note)

    def flush(self) -> None:
        """Wait until all is published; raises as `wait_until`."""
        self.wait_until(lambda: not self._queue)

    def stop(
        self, when_ended: Callable[[], object] = _nothing, within_s: float | None = None
    ) -> None:
        """Send no more; harmless when called twice.

        `when_ended` is called once nothing is being sent: before this returns, or later by the
        thread that sends, where that does not end soon. So a lock can be held until then.
        """
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        try:
            if self._thread is not None:
                self._thread.join(STOPS_WITHIN_S if within_s is None else within_s)
        finally:
            with self._changed:
                is_working = self._is_working
                if is_working:
                    self._when_ended.append(when_ended)
            if not is_working:
                when_ended()

    def _patience_s(self, began: float) -> float | None:
        """Return how long to wait at most; raises when it is time to give up."""
        outage = self._outage
        if outage is None:
            return None
        left = max(began, outage.since) + self._give_up_after_s - time.monotonic()
        if left <= 0:
            self._failure = UnreachableStoreError(
                f"{what_happened(outage.error)}; gave up after {self._give_up_after_s:g} s: "
                "finished shards are kept, and the same command resumes"
            )
            raise self._failure from outage.error
        return left

    def _work(self) -> None:
        patient = RetryingStore(self._remote, math.inf, sleep=self._pause)
        try:
            while True:
                files = self._next()
                proofs = patient.tried(partial(self._sent, files))
                for file in files:
                    self._on_sent(file, proofs[file.name])
                self._dequeue(len(files))
        except BaseException as exc:  # noqa: BLE001 (the caller of the queue raises it)
            with self._changed:
                if not self._is_stopping:
                    self._failure = exc
                self._changed.notify_all()
        finally:
            with self._changed:
                self._is_working = False
            for call in self._when_ended:
                call()

    def _next(self) -> Sequence[OutgoingFile]:
        """Wait for files, and return those that are sent together."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_stopping)
            self._check_running()
            return [*islice(self._queue, self._remote.files_per_call)]

    def _sent(self, files: Sequence[OutgoingFile]) -> Mapping[str, Proof]:
        try:
            return self._remote.put_many(files, self._progressed)
        except UnreachableStoreError as exc:
            with self._changed:
                self._note_outage(exc)
            raise

    def _pause(self, wait_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping, wait_s)
            self._check_running()

    def _dequeue(self, files: int) -> None:
        with self._changed:
            for _ in range(files):
                self._queued_bytes -= self._queue.popleft().sums.size_bytes
            if self._outage is not None:
                self._notes.append(f"{self._remote.url} can be reached again")
                self._outage = None
            self._changed.notify_all()

    def _note_outage(self, error: UnreachableStoreError) -> None:
        if self._outage is None:
            now = time.monotonic()
            self._outage = _Outage(now, now, error)
            self._notes.append(
                f"{what_happened(error)}; the conversion continues, and the upload is tried again"
            )
        self._outage.error = error
        if error.retry_after_s:
            # A server that asks for a pause is not away.
            until = time.monotonic() + error.retry_after_s
            last = self._outage.began + MAX_ASKED_WAIT_S
            self._outage.since = max(self._outage.since, min(until, last))
        self._changed.notify_all()

    def _progressed(self, sent_bytes: int) -> None:
        """Take note that bytes were stored; may be called by several threads."""
        self._check_running()
        outage = self._outage
        if outage is not None and sent_bytes:
            outage.since = time.monotonic()

    def _check_running(self) -> None:
        if self._is_stopping:
            raise _Stopped


def what_happened(error: Exception) -> str:
    """Return a message without the advice to the user: we follow it ourselves."""
    has_message = isinstance(error, WdsremuxError | OSError)
    return (str(error) if has_message else repr(error)).partition("; ")[0]
