"""Threads, throttle and progress of a sync."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from wdsremux.core.events import Note, SyncEvent, SyncObserver

T = TypeVar("T")


class StoppedError(Exception):
    """Ends what a thread does once nobody waits for it any more."""


class Stop:
    """Tells threads that they are to end."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def now(self) -> None:
        """Let every thread end at its next check."""
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
    """Lets so many bytes a second pass, those of all threads together."""

    def __init__(
        self,
        bytes_per_s: int | None,
        sleep: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """None lets all pass."""
        self._bytes_per_s = bytes_per_s
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._due = clock()

    def passed(self, size_bytes: int) -> None:
        """Wait until so many more bytes, which have passed, were due."""
        if self._bytes_per_s is None or not size_bytes:
            return
        with self._lock:
            now = self._clock()
            # What was not used before is not made up for.
            self._due = max(self._due, now) + size_bytes / self._bytes_per_s
            wait_s = self._due - now
        self._sleep(wait_s)


def in_threads(jobs: int, do: Callable[[T], object], items: Iterable[T], stop: Stop) -> None:
    """Do something with each item, `jobs` at a time; the first error ends all and is raised."""
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
"""Jobs that wait for the same thing tell of it once in so long."""


class Teller:
    """Calls an observer; may be used by several threads."""

    def __init__(self, observer: SyncObserver, clock: Callable[[], float] = time.monotonic) -> None:
        self._observer = observer
        self._clock = clock
        self._lock = threading.Lock()
        self._last_note = float("-inf")

    def tell(self, event: SyncEvent) -> None:
        """Tell the observer."""
        with self._lock:
            self._observer(event)

    def note(self, text: str) -> None:
        """Tell what is being waited for, unless something was told a moment ago."""
        with self._lock:
            if self._clock() - self._last_note > SAME_NOTE_AFTER_S:
                self._last_note = self._clock()
                self._observer(Note(text))
