"""One run at a time on a remote store: a small object that its holder renews every few seconds.

The kernel of no host releases the lock of a killed process, so a lock that has not been renewed for
a minute is taken over. Its age is measured by the clock of the server alone: the clocks of the
hosts may differ. The lock of a process of this machine that has ended is taken over at once.
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
"""How long a lock is held after it was renewed."""
RENEW_S = 10.0
MAX_LOST = 5
"""How often others may be first in one attempt; more means that the store accepts no lock."""
LOST_PAUSE_S = 1.0
POLL_S = 5.0
"""How often a waiting run checks whether the holder lives."""

_KEEPER = "wdsremux-lease-"
"""Start of the names of threads that renew locks; the token of the lock follows."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LockVersion:
    """A lock object as it was seen, or as we wrote it."""

    content: bytes
    version: str
    """Changes with each write."""
    age_s: float = 0.0
    """By the server's clock."""


class LeaseObject(Protocol):
    """The object that is the lock; raises StoreError when the store cannot be asked."""

    def create(self, content: bytes) -> LockVersion | None:
        """Write it where there is none; None when there is one."""

    def read(self) -> LockVersion | None:
        """Return the object; None when there is none."""

    def replace(self, content: bytes, seen: LockVersion) -> LockVersion | None:
        """Write it in place of what was seen; None when that has changed."""

    def remove(self, seen: LockVersion) -> None:
        """Remove what was seen, and nothing else."""


def _now_s() -> float:
    """Return the seconds of a clock that also runs while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """The lock of one store; its holder can ask whether it was lost.

    A store keeps one for its lifetime: when the answer to taking the lock is lost, the next try
    recognises its own token.
    """

    def __init__(
        self,
        lock: LeaseObject,
        where: str,
        wait: Callable[[float], object] | None = None,
        *,
        clock: Callable[[], float] = _now_s,
    ) -> None:
        """`wait` sleeps for a number of seconds; it may raise, to end the wait."""
        self._lock = lock
        self._where = where
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._clock = clock
        self._token = uuid.uuid4().hex
        self._writes = 0
        self._in_use = threading.Lock()
        self._renewing = threading.Lock()
        self._held: LockVersion | None = None
        self._renewed_at = 0.0
        self._is_takeover = False
        """Whether the last write to take the lock replaced the lock of a dead holder."""

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock while the block runs; yields whether the holder before died with it.

        Raises StoreError naming host and process of the holder.
        """
        if not self._in_use.acquire(blocking=False):
            raise StoreError(
                f"{self._where!r} is being written by this process already; wait for it"
            )
        self._ended.clear()
        name = f"{_KEEPER}{self._token}"
        keeper = threading.Thread(target=self._keep, name=name, daemon=True)
        # Before the lock exists: to others in this process it is the sign that we live.
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
        content = self._content()
        waited_for: LockVersion | None = None
        lost = 0
        while True:
            began = self._clock()
            seen = self._lock.read()
            if seen is None:
                self._is_takeover = False
                taken = self._lock.create(content)
            elif self._is_ours(seen):  # it was written, but the answer was lost
                taken, began = seen, began - LEASE_S  # the first `check` renews it
            else:
                is_renewed = waited_for is not None and seen.version != waited_for.version
                if not self._is_free(seen, is_renewed=is_renewed):
                    if waited_for is None:
                        _log.warning(
                            "waiting up to a minute for the lock %r of another run", self._where
                        )
                    waited_for = seen
                    self._wait(max(1.0, min(POLL_S, LEASE_S - seen.age_s)))
                    continue
                self._is_takeover = True
                taken = self._lock.replace(content, seen)
            if taken is not None:
                self._held, self._renewed_at = taken, began
                return self._is_takeover
            lost += 1
            self._wait_for_others(lost)

    def _wait_for_others(self, lost: int) -> None:
        if lost >= MAX_LOST:
            raise StoreError(
                f"cannot acquire the lock {self._where!r} after {lost} attempts; check that the "
                "bucket exists and that no other run writes to it"
            )
        self._wait(LOST_PAUSE_S)

    def renew(self) -> None:
        """Write the lock again; remembers that it is lost when it is another's or gone."""
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
                f"lost the lock {self._where!r} (taken over or expired); make sure that only one "
                "run writes here, then run the same command again: finished files are kept"
            )

    def _renew(self) -> None:
        held = self._held
        if held is None:
            return
        began = self._clock()
        renewed = self._lock.replace(self._content(), held)
        if renewed is not None:
            self._held, self._renewed_at = renewed, began
            return
        # Ours, if the answer to an earlier renewal was lost; its age is unknown.
        seen = self._lock.read()
        self._held = seen if seen is not None and self._is_ours(seen) else None

    def _is_overdue(self) -> bool:
        return self._clock() - self._renewed_at >= LEASE_S

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                self.renew()
            except StoreError as exc:
                # The next publication fails for the same reason, and reports it.
                _log.info("cannot renew %s: %s", self._where, exc)
            except Exception as exc:  # noqa: BLE001 (the end of this thread is seen nowhere else)
                _log.warning(
                    "the lock %s is no longer renewed (%s); the next upload fails",
                    self._where,
                    type(exc).__name__,
                )
                self._held = None
                return

    def _give_back(self) -> None:
        # A lock that cannot be removed is taken over: at once on this machine, later by others.
        with contextlib.suppress(StoreError):
            if self._held is not None:
                self._lock.remove(self._held)
        self._held = None

    def _is_free(self, seen: LockVersion, *, is_renewed: bool) -> bool:
        """Return whether a lock may be taken over now; False means to wait.

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
            # Another store object of this process, which is alive as long as its thread.
            keeper = f"{_KEEPER}{holder.get('token')}"
            if any(thread.name == keeper for thread in threading.enumerate()):
                raise refusal(self._where, holder)
            return True
        if isinstance(pid, int) and is_alive(pid, holder.get("started")):
            raise refusal(self._where, holder)
        return True

    def _is_ours(self, seen: LockVersion) -> bool:
        return _holder(seen).get("token") == self._token

    def _content(self) -> bytes:
        self._writes += 1
        return json.dumps(_myself() | {"token": self._token, "writes": self._writes}).encode()


def _myself() -> dict[str, Any]:
    """Return what identifies this process; PIDs are unique only within a PID namespace."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = None
    return this_process() | {"space": space}


def _holder(seen: LockVersion) -> dict[str, Any]:
    try:
        holder = json.loads(seen.content)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}
