"""Waits between the tries of a server that does not answer, and gives up in the end."""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from wdsremux.core.errors import SourceError, StoreError, UnreachableStoreError
from wdsremux.core.heartbeat import Waiting, heartbeat, signal

T = TypeVar("T")

_log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.1
MAX_WAIT_S = 30.0
MAX_ASKED_WAIT_S = 3600.0
"""Sum of the pauses that a server may ask for: the Hub counts the commits of an hour."""
ONCE_READ_GIVE_UP_AFTER_S = 1800.0
"""The default patience with a source that has answered in this run."""
SHOWN_AFTER_S = 4.0
"""A source that does not answer for this time is reported; shorter failures are not."""
_MAX_DOUBLINGS = 16
_SPARE_S = 30.0
"""How much longer than announced a worker process may sleep before the engine ends it."""


class TemporaryError(Exception):
    """A read that may succeed when it is tried again; the message holds no URL and no token."""

    def __init__(
        self, problem: str, *, retry_after_s: float = 0.0, has_progress: bool = False
    ) -> None:
        super().__init__(problem)
        self.retry_after_s = retry_after_s
        self.has_progress = has_progress
        """Whether some bytes arrived before the failure: the patience starts again."""


def _ignore(_message: str) -> None:
    pass


class Patience:
    """The waits of one caller: longer each time, counted from the first failure after a success.

    Not to be shared by threads.
    """

    def __init__(
        self,
        what: str,
        give_up_after_s: float,
        *,
        notify: Callable[[str], None] | None = _ignore,
        note_after_s: float = 0.0,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Name the server or file that messages are about by `what`.

        `notify` gets the reason once an outage lasts `note_after_s`; None reports it to the run, or
        to the log. `sleep` may raise, to end the wait.
        """
        self.what = what
        self._give_up_after_s = give_up_after_s
        self._notify = notify
        self._clock = clock or time.monotonic
        self._sleep = sleep or time.sleep
        self._note_after_s = note_after_s
        self._failures = 0
        self._has_noted = False
        self._failing_since = self._asked_s = 0.0

    def succeeded(self) -> None:
        """Forget the failures: the next one starts the clock again."""
        self._failures, self._asked_s = 0, 0.0
        self._has_noted = False

    def tried(self, do: Callable[[], T]) -> T:
        """Call `do` until it succeeds; raises StoreError when it is time to give up."""
        while True:
            try:
                return do()
            except UnreachableStoreError as exc:
                self.wait(exc, exc.retry_after_s)

    def wait(self, error: Exception, asked_s: float = 0.0) -> None:
        """Sleep until the next try is due, or raise what `gave_up` returns.

        `asked_s` is the pause that the server asks for: such a server is not away, so the pause is
        not counted.
        """
        # A call may work for hours, and report no bytes, before it fails for the first time.
        if not self._failures:
            self._failing_since = self._clock()
        gone_s = self._clock() - self._failing_since
        left_s = self._give_up_after_s - gone_s
        if left_s <= 0:
            raise self.gave_up(error, gone_s) from error
        asked_s = min(asked_s, MAX_ASKED_WAIT_S - self._asked_s)
        # Jitter keeps many workers from coming back in step; it never affects the output.
        doubled = FIRST_WAIT_S * 2 ** min(self._failures, _MAX_DOUBLINGS)
        backoff_s = min(MAX_WAIT_S, doubled) * random.uniform(0.5, 1)  # noqa: S311
        wait_s = asked_s or min(backoff_s, left_s)
        if not self._has_noted and gone_s + wait_s >= self._note_after_s:
            how = f"in {asked_s:.0f} s, as it asks" if asked_s else f"for {left_s:.0f} s"
            self.note(f"{self.reason(error)}; trying again {how}", gone_s)
        self._failures += 1
        self._asked_s += asked_s
        self._failing_since += asked_s
        self._sleep(wait_s)

    def note(self, message: str, gone_s: float = 0.0) -> None:
        """Report an outage, once until the next success."""
        if self._has_noted:
            return
        self._has_noted = True
        if self._notify is None:
            _report(Waiting(self.what, message, gone_s, self._give_up_after_s))
        else:
            self._notify(message)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Report an outage if the block does not end in time: a silent server raises nothing."""
        message = f"{self.what} does not answer; still waiting"
        timer = threading.Timer(SHOWN_AFTER_S, self.note, (message, SHOWN_AFTER_S))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def reason(self, error: Exception) -> str:
        """Return what the user reads of a failure."""
        return str(error)

    def gave_up(self, error: Exception, gone_s: float) -> Exception:
        """Return what to raise when it is time to give up."""
        return StoreError(
            f"{self.reason(error)}; gave up on {self.what!r} after {gone_s:.0f} s without success; "
            "run the same command again once it answers: finished files are kept"
        )


class ReadingPatience(Patience):
    """The waits of one reader of a source; `what` names the file or dataset that is read."""

    def __init__(self, what: str, give_up_after_s: float) -> None:
        super().__init__(
            what,
            give_up_after_s,
            notify=None,
            note_after_s=SHOWN_AFTER_S,
            sleep=_sleep_announced,
        )

    def wait(self, error: Exception, asked_s: float = 0.0) -> None:
        """Sleep until the next try is due. Raises SourceError when it is time to give up."""
        if isinstance(error, TemporaryError):
            asked_s = error.retry_after_s
            if error.has_progress:
                self.succeeded()
        super().wait(error, asked_s)

    def reason(self, error: Exception) -> str:
        """Return what the user reads of a failure."""
        return f"cannot read {self.what}: {error}"

    def gave_up(self, error: Exception, gone_s: float) -> Exception:
        """Return what to raise when it is time to give up."""
        return SourceError(
            f"{self.reason(error)}; tried for {gone_s:.0f} s; finished shards are kept, and the "
            "same command resumes"
        )


def _report(waiting: Waiting) -> None:
    """Report an outage to the run, or to the log, where a view of progress finds it, too."""
    if not signal(waiting):
        _log.warning("%s", waiting.reason, extra={"waiting": waiting})


def _sleep_announced(wait_s: float) -> None:
    """Sleep, and announce it to the engine: waiting for a server is not a hang."""
    heartbeat(wait_s + _SPARE_S)
    time.sleep(wait_s)
    heartbeat()
