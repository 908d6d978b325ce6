"""When each thread of a run is overdue: shared memory, so that another process can see it.

A thread cannot be stopped, and a codec that holds Python's lock stops every other thread, too. So
the supervisor of the command line watches the threads of the run from its own process.
"""

import mmap
import struct
import time
from contextvars import ContextVar

SLOTS = 64
"""Threads that can be watched; others share the last slot."""

_PAUSE_S = 2.0

_SLOT = struct.Struct("<dd")
_BYTES = SLOTS * _SLOT.size


class Deadlines:
    """For each thread: the moment it is overdue (`time.monotonic`, 0 for none), and its limit."""

    def __init__(self) -> None:
        """Reserve memory that a fork of this process shares."""
        self._memory = mmap.mmap(-1, _BYTES)

    def set(self, slot: int, at_s: float, limit_s: float) -> None:
        """Set the moment at which a thread is overdue, and how long it may take."""
        _SLOT.pack_into(self._memory, min(slot, SLOTS - 1) * _SLOT.size, at_s, limit_s)

    def clear(self, slot: int) -> None:
        """Say that a thread waits for something that has its own limit."""
        self.set(slot, 0.0, 0.0)

    def clear_all(self) -> None:
        """Forget all moments: those of a run that has ended."""
        self._memory[:] = bytes(_BYTES)

    def overdue(self, now_s: float) -> tuple[int, float] | None:
        """Return a thread that is overdue, and its limit; None if there is none."""
        for slot, (at_s, limit_s) in enumerate(_SLOT.iter_unpack(self._memory[:])):
            if 0 < at_s < now_s:
                return slot, limit_s
        return None


_watched: ContextVar[Deadlines | None] = ContextVar("wdsremux_deadlines", default=None)


def watched_deadlines() -> Deadlines | None:
    """Return the deadlines that another process watches; None if there is no such process."""
    return _watched.get()


def watch(deadlines: Deadlines) -> None:
    """Make the threads of this process report to deadlines that another process watches."""
    _watched.set(deadlines)


class Uptime:
    """How long this process has run without a pause, such as Ctrl-Z or a frozen container.

    After a pause every worker is late, which is not the fault of a record.
    """

    def __init__(self) -> None:
        self._seen_s = time.monotonic()
        self._began_s = -float("inf")

    def seconds(self) -> float:
        """Return the seconds since the last pause; to be called at least once a second."""
        now_s = time.monotonic()
        if now_s - self._seen_s > _PAUSE_S:
            self._began_s = now_s
        self._seen_s = now_s
        return now_s - self._began_s
