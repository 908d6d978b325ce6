"""How long a source that answers badly is tried again before the run gives up."""

import random
import time
from dataclasses import dataclass, field

from wdsremux.core.errors import SourceError
from wdsremux.core.heartbeat import heartbeat

FIRST_WAIT_S = 0.1
MAX_WAIT_S = 15.0
MAX_ASKED_WAIT_S = 60.0
"""A server that asks for a longer pause is asked again after this one."""
_SPARE_S = 30.0
"""A worker process may oversleep by so much before it is taken to hang."""


class TemporaryError(Exception):
    """Something that may go well when tried again; the text holds no URL and no token."""

    def __init__(
        self, problem: str, *, retry_after_s: float = 0.0, has_progress: bool = False
    ) -> None:
        super().__init__(problem)
        self.retry_after_s = retry_after_s
        self.has_progress = has_progress
        """Something came before it broke: the clock starts anew."""


@dataclass(slots=True)
class Patience:
    """Waits between tries, longer each time; gives up so long after the last success.

    For one caller: not to be shared by threads.
    """

    what: str
    """What is being read, for the message."""
    give_up_after_s: float
    last_success: float = field(default_factory=time.monotonic)
    failures: int = 0

    def succeeded(self) -> None:
        """Start the clock anew."""
        self.last_success, self.failures = time.monotonic(), 0

    def wait(self, error: TemporaryError) -> None:
        """Sleep until the next try is due. Raises SourceError when it is time to give up."""
        if error.has_progress:
            self.succeeded()
        tried_s = time.monotonic() - self.last_success
        left_s = self.give_up_after_s - tried_s
        if left_s <= 0:
            raise SourceError(
                f"cannot read {self.what}: {error}; tried for {tried_s:.0f} s; "
                "finished shards stay, and the same command goes on from there"
            ) from None
        # Jitter keeps many workers from coming back in step; it never touches the output.
        backoff_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2**self.failures) * random.uniform(0.5, 1)  # noqa: S311
        self.failures += 1
        asked_s = min(error.retry_after_s, MAX_ASKED_WAIT_S)
        wait_s = min(max(backoff_s, asked_s), left_s)
        # To wait for a server is no hang, however short the time for a record; the try is timed
        # like any other.
        heartbeat(wait_s + _SPARE_S)
        time.sleep(wait_s)
        heartbeat()
