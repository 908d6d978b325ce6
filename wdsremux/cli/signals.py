"""What a signal does to the command line: the first asks the run to stop, the second stops it."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

STOP_WITHIN_S = 4.5
"""A run that has not stopped by itself after so long is stopped as by a second signal."""


class StopRequest(KeyboardInterrupt):
    """Raised in the main thread by the first SIGINT or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def stop_on_signals(last_words: Callable[[], str]) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a StopRequest; a second ends the process at once.

    `last_words` are said when the request came to nothing: a function may catch whatever is raised,
    and a library may not come back in time.
    """

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        for each in watched:
            signal.signal(each, stop_at_once)
        timer = threading.Timer(STOP_WITHIN_S, give_up, [number])
        timer.daemon = True
        timer.start()
        patience.callback(timer.cancel)
        raise StopRequest(number)

    def give_up(number: int) -> NoReturn:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{last_words()}\n")
            sys.stderr.flush()
        stop_at_once(number, None)

    def stop_at_once(number: int, _frame: FrameType | None) -> NoReturn:
        # Nothing is lost: what is published is whole, and workers end with their parent.
        os._exit(128 + number)

    patience = contextlib.ExitStack()
    watched = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in watched]
    try:
        with patience:
            yield
    finally:
        for number, handler in zip(watched, before, strict=True):
            signal.signal(number, handler)
