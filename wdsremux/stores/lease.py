"""One run at a time on a remote store: a small object that its holder writes anew all the time.

There is no kernel that drops the lock of the dead, so a lock that has not been renewed for a while
is taken over. Its age is told by the server's clock alone: the clocks of the hosts may differ. The
lock of a process of this machine that is gone is taken over at once.
"""

import contextlib
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wdsremux.core.errors import StoreError
from wdsremux.stores.folder.lock import is_alive, refusal, this_process

LEASE_S = 60.0
"""So long a lock is held after it was renewed."""
RENEW_S = 10.0
MAX_LOST = 5
"""So often others may be first in one taking; more can only be a place that takes no lock."""
LOST_PAUSE_S = 1.0
POLL_S = 5.0
"""How often one who waits looks whether the holder lives."""

_KEEPER = "wdsremux-lease-"
"""How the threads that renew locks are called; the token of the lock follows."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """A lock object as it was seen, or as we wrote it."""

    text: bytes
    version: str
    """Another one after each write."""
    age_s: float = 0.0
    """By the server's clock."""


class LeaseObject(Protocol):
    """The one object that is the lock; raises StoreError when the store cannot be asked."""

    def create(self, text: bytes) -> Written | None:
        """Write it where there is none; None when there is one."""

    def read(self) -> Written | None:
        """Return what is there."""

    def replace(self, text: bytes, seen: Written) -> Written | None:
        """Write it in place of what was seen; None when that is not there any more."""

    def remove(self, seen: Written) -> None:
        """Remove what was seen, and nothing else."""


def _now_s() -> float:
    """Return the seconds of a clock that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """The lock of one store; whoever holds it can ask whether it was lost.

    A store keeps one for all its life: when the answer to taking the lock is lost, the next try
    knows its own token again.
    """

    def __init__(
        self,
        lock: LeaseObject,
        where: str,
        wait: Callable[[float], object] | None = None,
        *,
        clock: Callable[[], float] = _now_s,
    ) -> None:
        """`wait` waits for so many seconds; may raise, to end the waiting."""
        self._lock = lock
        self._where = where
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._clock = clock
        self._token = uuid.uuid4().hex
        self._writes = 0
        self._in_use = threading.Lock()
        self._renewing = threading.Lock()
        self._held: Written | None = None
        self._renewed_at = 0.0
        self._is_takeover = False
        """Whether what was written last to take the lock went over that of a dead holder."""

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock while the block runs; gives whether the holder before died with it.

        Raises StoreError naming host and process of whoever holds it.
        """
        if not self._in_use.acquire(blocking=False):
            raise StoreError(f"{self._where!r} is being written by this very process; wait for it")
        self._ended.clear()
        name = f"{_KEEPER}{self._token}"
        keeper = threading.Thread(target=self._keep, name=name, daemon=True)
        # Before the lock is there: to others of this process it is the sign that we live.
        keeper.start()
        try:
            yield self.take()
        finally:
            self._ended.set()
            keeper.join()
            self._give_back()
            self._in_use.release()

    def take(self) -> bool:
        """Take the lock and return whether it was taken over from the dead."""
        text = self._text()
        waited_for: Written | None = None
        lost = 0
        while True:
            began = self._clock()
            seen = self._lock.read()
            if seen is None:
                self._is_takeover = False
                taken = self._lock.create(text)
            elif self._is_ours(seen):  # it was written, but the answer was lost
                taken, began = seen, began - LEASE_S  # the first `check` renews it
            else:
                is_renewed = waited_for is not None and seen.version != waited_for.version
                if not self._is_free(seen, is_renewed=is_renewed):
                    if waited_for is None:
                        _log.warning("waiting up to a minute for the lock %r", self._where)
                    waited_for = seen
                    self._wait(max(1.0, min(POLL_S, LEASE_S - seen.age_s)))
                    continue
                self._is_takeover = True
                taken = self._lock.replace(text, seen)
            if taken is not None:
                self._held, self._renewed_at = taken, began
                return self._is_takeover
            lost += 1
            self._wait_for_others(lost)

    def _wait_for_others(self, lost: int) -> None:
        if lost >= MAX_LOST:
            raise StoreError(
                f"cannot take the lock {self._where!r}: {lost} times it could not be written; see "
                "that the place is there, and look who else writes there"
            )
        self._wait(LOST_PAUSE_S)

    def renew(self) -> None:
        """Write the lock anew; remembers that it is lost when it is another's or gone."""
        with self._renewing:
            self._renew()

    def check(self) -> None:
        """Raise StoreError if another has taken the lock over, or may have by now."""
        if self._is_overdue():
            with self._renewing:
                if self._is_overdue():
                    self._renew()
        if self._held is None:
            raise StoreError(
                f"the lock {self._where!r} was taken over, or can be renewed no more; see that "
                "only one runs, then run the same command again: what is finished stays"
            )

    def _renew(self) -> None:
        held = self._held
        if held is None:
            return
        began = self._clock()
        renewed = self._lock.replace(self._text(), held)
        if renewed is not None:
            self._held, self._renewed_at = renewed, began
            return
        # Ours, if the answer to an earlier renewal was lost; nobody knows how old it is.
        seen = self._lock.read()
        self._held = seen if seen is not None and self._is_ours(seen) else None

    def _is_overdue(self) -> bool:
        return self._clock() - self._renewed_at >= LEASE_S

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                self.renew()
            except StoreError as exc:
                # Whoever publishes meets the same and tells it.
                _log.info("cannot renew %s: %s", self._where, exc)
            except Exception as exc:  # noqa: BLE001 (nobody else sees how this thread ends)
                _log.warning("cannot renew %s any more: %s", self._where, type(exc).__name__)
                self._held = None
                return

    def _give_back(self) -> None:
        # One that cannot be removed is taken over: at once on this machine, later by others.
        with contextlib.suppress(StoreError):
            if self._held is not None:
                self._lock.remove(self._held)
        self._held = None

    def _is_free(self, seen: Written, *, is_renewed: bool) -> bool:
        """Return whether a lock may be taken over, False where that is to be waited for.

        Raises StoreError when its holder lives.
        """
        holder = _holder(seen)
        me = _myself()
        if any(holder.get(word) != me[word] for word in ("host", "boot", "space")):
            if is_renewed:
                raise refusal(self._where, holder)
            return seen.age_s >= LEASE_S
        pid = holder.get("pid")
        if pid == os.getpid() and holder.get("started") == me["started"]:
            # Another store object of this process, which lives as long as its thread.
            keeper = f"{_KEEPER}{holder.get('token')}"
            if any(thread.name == keeper for thread in threading.enumerate()):
                raise refusal(self._where, holder)
            return True
        if isinstance(pid, int) and is_alive(pid, holder.get("started")):
            raise refusal(self._where, holder)
        return True

    def _is_ours(self, seen: Written) -> bool:
        return _holder(seen).get("token") == self._token

    def _text(self) -> bytes:
        self._writes += 1
        return json.dumps(_myself() | {"token": self._token, "writes": self._writes}).encode()


def _myself() -> dict[str, Any]:
    """Return who we are; process numbers mean something only in one space of them (containers)."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = None
    return this_process() | {"space": space}


def _holder(seen: Written) -> dict[str, Any]:
    try:
        holder = json.loads(seen.text)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}
