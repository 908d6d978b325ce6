"""One run at a time on a remote target: a small object that its holder writes anew all the time.

There is no kernel that drops the lock of the dead, so a lock that has not been renewed for a while
is taken over. Its age is told by the server's clock alone: the clocks of the hosts may differ. The
lock of a process of this machine that is gone is taken over at once.
"""

import contextlib
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wdsremux.errors import TargetError
from wdsremux.targets.lock import is_alive, refusal, this_process

LEASE_S = 60.0
"""So long a lock is held after it was renewed."""
RENEW_S = 10.0
POLL_S = 5.0
"""How often one who waits looks whether the holder lives."""

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
    """The one object that is the lock; raises TargetError when the target cannot be asked."""

    def create(self, text: bytes) -> Written | None:
        """Write it where there is none; None when there is one."""

    def read(self) -> Written | None:
        """Return what is there."""

    def replace(self, text: bytes, seen: Written) -> Written | None:
        """Write it in place of what was seen; None when that is not there any more."""

    def remove(self, seen: Written) -> None:
        """Remove what was seen, and nothing else."""


class Lease:
    """The lock of one target; whoever holds it can ask whether it was lost."""

    def __init__(
        self, lock: LeaseObject, where: str, wait: Callable[[float], object] | None = None
    ) -> None:
        """`wait` waits for so many seconds; may raise, to end the waiting."""
        self._lock = lock
        self._where = where
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._token = uuid.uuid4().hex
        self._writes = 0
        self._held: Written | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock while the block runs; gives whether the holder before died with it.

        Raises TargetError naming host and process of whoever holds it.
        """
        died = self.take()
        keeper = threading.Thread(target=self._keep, name="wdsremux-lease", daemon=True)
        keeper.start()
        try:
            yield died
        finally:
            self._ended.set()
            keeper.join()
            self._give_back()

    def take(self) -> bool:
        """Take the lock and return whether it was taken over from the dead."""
        text = self._text()
        waited_for: Written | None = None
        while True:
            seen = self._lock.read()
            if seen is None:
                self._held = self._lock.create(text)
                died = False
            elif self._is_ours(seen):  # it was created, but the answer was lost
                self._held, died = seen, waited_for is not None
            else:
                is_renewed = waited_for is not None and seen.version != waited_for.version
                if not self._is_free(seen, is_renewed=is_renewed):
                    if waited_for is None:
                        _log.warning("waiting up to a minute for the lock %r", self._where)
                    waited_for = seen
                    self._wait(max(1.0, min(POLL_S, LEASE_S - seen.age_s)))
                    continue
                self._held, died = self._lock.replace(text, seen), True
            if self._held is not None:
                return died

    def renew(self) -> None:
        """Write the lock anew; remembers that it is lost when it is another's or gone."""
        held = self._held
        if held is None:
            return
        renewed = self._lock.replace(self._text(), held)
        if renewed is None:
            seen = self._lock.read()
            renewed = seen if seen is not None and self._is_ours(seen) else None
        self._held = renewed

    def check(self) -> None:
        """Raise TargetError if another has taken the lock over."""
        if self._held is None:
            raise TargetError(
                f"the lock {self._where!r} was taken over while this run could not renew it; see "
                "that only one runs, then run the same command again: what is finished stays"
            )

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                self.renew()
            except TargetError as exc:
                # Whoever publishes meets the same and tells it.
                _log.info("cannot renew %s: %s", self._where, exc)

    def _give_back(self) -> None:
        # One that cannot be removed is taken over: at once on this machine, later by others.
        with contextlib.suppress(TargetError):
            if self._held is not None:
                self._lock.remove(self._held)

    def _is_free(self, seen: Written, *, is_renewed: bool) -> bool:
        """Return whether a lock may be taken over, False where that is to be waited for.

        Raises TargetError when its holder lives.
        """
        holder = _holder(seen)
        me = _myself()
        if any(holder.get(word) != me[word] for word in ("host", "boot", "space")):
            if is_renewed:
                raise refusal(self._where, holder)
            return seen.age_s >= LEASE_S
        pid = holder.get("pid")
        if pid == os.getpid() and holder.get("started") == me["started"]:
            # Another target object of this process: a living one renews its lock.
            if seen.age_s < LEASE_S:
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
