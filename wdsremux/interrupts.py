"""What a signal does to the command line: the first asks the run to stop, the second stops it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class StopRequest(KeyboardInterrupt):
    """Raised in the main thread by the first SIGINT or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a StopRequest; a second ends the process at once."""

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        for each in watched:
            signal.signal(each, stop_at_once)
        raise StopRequest(number)

    def stop_at_once(number: int, _frame: FrameType | None) -> NoReturn:
        # Nothing is lost: what is published is whole, and workers end with their parent.
        os._exit(128 + number)

    watched = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in watched]
    try:
        yield
    finally:
        for number, handler in zip(watched, before, strict=True):
            signal.signal(number, handler)
