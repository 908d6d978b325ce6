"""Tells an observer what many threads do, one thing at a time."""

import threading
import time
from collections.abc import Callable

from wdsremux.events import Note, SyncEvent, SyncObserver

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
