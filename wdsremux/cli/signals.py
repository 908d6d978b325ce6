"""What a signal does to the command line: the first asks the run to stop, the second ends it."""

import contextlib
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

STOP_WITHIN_S = 4.5
"""A run that has not stopped by then is ended as by a second signal."""

FORWARDED = {signal.SIGINT: signal.SIGUSR1, signal.SIGTERM: signal.SIGUSR2}
"""As what the supervisor forwards a signal: Ctrl-C reaches both processes, and is one request."""


class StopRequest(KeyboardInterrupt):
    """Raised in the main thread by the first SIGINT or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def stop_on_signals(last_message: Callable[[], str]) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a StopRequest; a second ends the process at once.

    `last_message` are printed when the request had no effect: a function may catch whatever is
    raised, and a library may not return in time.
    """
    received: Counter[int] = Counter()
    requests = 0
    timers = contextlib.ExitStack()

    def stop(received_number: int, _frame: FrameType | None) -> None:
        nonlocal requests
        received[received_number] += 1
        so_far = sum(max(received[own], received[sent]) for own, sent in FORWARDED.items())
        if so_far == requests:
            return
        requests = so_far
        number = next(own for own, sent in FORWARDED.items() if received_number in (own, sent))
        if requests > 1:
            end(number)
        timer = threading.Timer(STOP_WITHIN_S, give_up, [number])
        timer.daemon = True
        timer.start()
        timers.callback(timer.cancel)
        raise StopRequest(number)

    def give_up(number: int) -> NoReturn:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{last_message()}\n")
            sys.stderr.flush()
        end(number)

    with _handled_by(stop), timers:
        yield


def end(number: int) -> NoReturn:
    """End the process; published files are complete, and workers end with their parent."""
    os._exit(128 + number)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Set the handler of both signals, and of those that a supervisor sends for them."""
    sent = set(FORWARDED.values())
    # The supervisor starts its child with these blocked, so that none comes too early.
    is_supervised = sent <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = {number: signal.signal(number, handler) for number in FORWARDED}
    if is_supervised:
        for number in sent:
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, sent)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        for number in sent if is_supervised else ():
            signal.signal(number, signal.SIG_IGN)
