"""Rides out the outages of a target: what cannot be reached just now is tried again, for so long.

Retry is a wrapper around any target; a target itself tries once and says whether it may go well
later (UnreachableTargetError).
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from wdsremux.core.errors import TargetError, UnreachableTargetError
from wdsremux.stores.base import BulkTarget, Parcel, Proof, RemoteTarget, Sums
from wdsremux.stores.spool import SpooledFile

T = TypeVar("T")

FIRST_WAIT_S = 0.25
MAX_WAIT_S = 30.0
MAX_ASKED_WAIT_S = 3600.0
"""A server may ask for pauses of so long in all: the Hub counts the commits of an hour."""


class PatientTarget:
    """A target whose calls are repeated until one succeeds or nothing has for `give_up_after_s`.

    Bytes that came over count as success. It is no BulkTarget itself, but its target may be one.
    May be used by several threads if the target may.
    """

    def __init__(
        self,
        target: RemoteTarget,
        give_up_after_s: float,
        *,
        tell: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`tell` is told why there is waiting, when it begins; `sleep` may raise, to end it."""
        self.target = target
        self._give_up_after_s = give_up_after_s
        self._tell = tell
        self._clock = clock
        self._sleep = sleep

    @property
    def url(self) -> str:
        """What people call the target."""
        return self.target.url

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = lambda _: None
    ) -> Proof:
        """Publish a copy of a file; what a repeated try brings over again is told once."""
        patience = self._patience()
        told = Furthest(on_bytes, patience.succeeded)

        def put() -> Proof:
            told.begin()
            return self.target.put(name, path, sums, told)

        return patience.tried(put)

    def put_together(
        self, parcels: Sequence[Parcel], on_bytes: Callable[[int], None] = lambda _: None
    ) -> Mapping[str, Proof]:
        """Publish copies of files together where the target can, else one after the other."""
        target = self.target
        if not isinstance(target, BulkTarget):
            return {p.name: self.put(p.name, p.path, p.sums, on_bytes) for p in parcels}
        patience = self._patience()
        told = Furthest(on_bytes, patience.succeeded)

        def put() -> Mapping[str, Proof]:
            told.begin()
            return target.put_many(parcels, told)

        return patience.tried(put)

    @property
    def is_bulk(self) -> bool:
        """Whether the target takes many files far better together."""
        return isinstance(self.target, BulkTarget)

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:
        """Return how sure it is that the target holds these bytes."""
        return self.tried(lambda: self.target.prove(name, sums, path))

    def stage(self, name: str) -> SpooledFile:
        """Begin a new file, on this machine until it is committed: then it is put as by `put`."""
        return SpooledFile(name, self.put)

    def open(self, name: str) -> BinaryIO:
        """Open a published file for reading; raises FileNotFoundError."""
        return self.tried(lambda: self.target.open(name))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the files of one folder, sorted by name."""
        yield from self.tried(lambda: tuple(self.target.list(prefix)))

    def remove(self, name: str) -> None:
        """Remove a published file; no error when it is not there."""
        self.tried(lambda: self.target.remove(name))

    def remove_together(self, names: Sequence[str]) -> None:
        """Remove published files, as few calls as it takes; no error for those not there."""
        target = self.target
        if isinstance(target, BulkTarget):
            self.tried(lambda: target.remove_many(names))
            return
        for name in names:
            self.remove(name)

    def free_bytes(self) -> int | None:
        """Return how many bytes there is room for; None where nobody knows."""
        return self.tried(self.target.free_bytes)

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Keep other runs away while the block runs."""
        with contextlib.ExitStack() as stack:
            yield self.tried(lambda: stack.enter_context(self.target.lock()))

    def tried(self, do: Callable[[], T]) -> T:
        """Do something with the target, again and again while it cannot be reached."""
        return self._patience().tried(do)

    def _patience(self) -> "Patience":
        return Patience(
            self.url,
            self._give_up_after_s,
            tell=self._tell,
            clock=self._clock,
            sleep=self._sleep,
        )


class Patience:
    """The waits of one call: longer each time, from the first failure after a success on."""

    def __init__(
        self,
        what: str,
        give_up_after_s: float,
        *,
        tell: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        self._what = what
        self._give_up_after_s = give_up_after_s
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._failures = 0
        self._failing_since = self._asked_s = 0.0

    def succeeded(self) -> None:
        """Start the clock anew at the next failure."""
        self._failures, self._asked_s = 0, 0.0

    def tried(self, do: Callable[[], T]) -> T:
        """Do something until it succeeds; raises TargetError when it is time to give up."""
        while True:
            try:
                return do()
            except UnreachableTargetError as exc:
                self._wait(exc)

    def _wait(self, exc: UnreachableTargetError) -> None:
        # A call may work for hours, and tell of no bytes, before it fails for the first time.
        if not self._failures:
            self._failing_since = self._clock()
        gone_s = self._clock() - self._failing_since
        left_s = self._give_up_after_s - gone_s
        if left_s <= 0:
            raise TargetError(
                f"{exc}; gave up on {self._what!r} after {gone_s:.0f} s without success; run the "
                "same command again once it answers: what is there stays"
            ) from exc
        # A server that tells when it will take more is not gone: the pause is not counted.
        asked_s = min(exc.retry_after_s, MAX_ASKED_WAIT_S - self._asked_s)
        if not self._failures:
            how = f"in {asked_s:.0f} s, as it asks" if asked_s else f"for {left_s:.0f} s"
            self._tell(f"{exc}; trying again {how}")
        # Jitter keeps many jobs from coming back in step.
        backoff_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2**self._failures) * random.uniform(0.5, 1)  # noqa: S311
        self._failures = min(self._failures + 1, 16)
        self._asked_s += asked_s
        self._failing_since += asked_s
        self._sleep(asked_s or min(backoff_s, left_s))


class Furthest:
    """Tells only of bytes beyond those of earlier tries of the same file; thread-safe."""

    def __init__(self, on_bytes: Callable[[int], None], on_more: Callable[[], None]) -> None:
        self._on_bytes = on_bytes
        self._on_more = on_more
        self._lock = threading.Lock()
        self._there = self._told = 0

    def begin(self) -> None:
        """Count from zero, as a new try does."""
        with self._lock:
            self._there = 0

    def __call__(self, size_bytes: int) -> None:
        """Take note of more bytes of this try, and tell what is new."""
        with self._lock:
            self._there += size_bytes
            more = self._there - self._told
            if more > 0:
                self._told = self._there
                self._on_more()
        # An empty report, too: whoever asked for it may want to stop here.
        self._on_bytes(max(more, 0))
