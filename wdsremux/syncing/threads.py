"""Threads, throttle and progress of a sync."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from wdsremux.core.events import Note, SyncEvent, SyncObserver

T = TypeVar("T")


class StoppedError(Exception):
    """Ends the work of a thread whose result is not needed any more."""


class Stop:
    """Asks threads to end."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def now(self) -> None:
        """End every thread at its next check."""
        self._event.set()

    def check(self) -> None:
        """Raise StoppedError when it is time to end."""
        if self._event.is_set():
            raise StoppedError

    def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the end."""
        self._event.wait(seconds)
        self.check()


class Throttle:
    """Limits the bytes per second, those of all threads together."""

    def __init__(
        self,
        bytes_per_s: int | None,
        sleep: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """None means no limit."""
        self._bytes_per_s = bytes_per_s
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._due = clock()

    def passed(self, size_bytes: int) -> None:
        """Wait until `size_bytes` more, which have been sent, are within the limit."""
        if self._bytes_per_s is None or not size_bytes:
            return
        with self._lock:
            now = self._clock()
            # Unused bandwidth of before is not made up for.
            self._due = max(self._due, now) + size_bytes / self._bytes_per_s
            wait_s = self._due - now
        self._sleep(wait_s)


def in_threads(jobs: int, do: Callable[[T], object], items: Iterable[T], stop: Stop) -> None:
    """Call `do` for each item, `jobs` at a time; the first error ends all and is raised."""
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="wdsremux-sync")
    try:
        for future in as_completed([pool.submit(do, item) for item in items]):
            future.result()
    except BaseException:
        stop.now()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


SAME_NOTE_AFTER_S = 30.0
"""Jobs that wait for the same reason report it once in this time."""


class Notifier:
    """Calls an observer; may be used by several threads."""

    def __init__(self, observer: SyncObserver, clock: Callable[[], float] = time.monotonic) -> None:
        self._observer = observer
        self._clock = clock
        self._lock = threading.Lock()
        self._last_note = float("-inf")

    def notify(self, event: SyncEvent) -> None:
        """Pass an event on."""
        with self._lock:
            self._observer(event)

    def note(self, message: str) -> None:
        """Report the reason of a wait, unless one was reported a moment ago."""
        with self._lock:
            if self._clock() - self._last_note > SAME_NOTE_AFTER_S:
                self._last_note = self._clock()
                self._observer(Note(message))
