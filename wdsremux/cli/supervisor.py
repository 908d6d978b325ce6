"""Starts a conversion once more that crashed: a codec that crashes in a thread takes all with it.

The process that the user started only waits; another, forked before anything heavy is imported,
does the work. The second start finds the lock of the first, takes worker processes for it, and so
finds and rejects the record. Only on Linux, where the work can be made to die with its watcher.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

from wdsremux.cli.console import complain

Arm = Callable[[], None]
"""Tells the watcher that from now on another start helps against a crash."""

_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, getattr(signal, "SIGBUS", 0)}
)
_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
_ARMED = 255
"""What `Arm` sends; other bytes on the pipe are the signals that the work has got."""
_HEARD_WITHIN_S = 0.005
"""A signal to the group is with all of it at once; this is for the work to wake up."""


def watch() -> Arm:
    """Return in the process that is to do the work; in its watcher, never.

    The watcher ends as the work did: with its exit code, or by the same signal.
    """
    if not _is_wanted(sys.argv[1:]):
        return _nobody
    handlers = {number: signal.getsignal(number) for number in _PASSED_ON}
    work = _Watched()
    try:
        if (arm := work.start(handlers)) is not None:
            return arm
    except OSError:  # no room for another process: then without
        return _nobody
    code = work.wait()
    if -code not in _CRASHES or not work.is_armed or work.is_asked_to_stop:
        _end(code)
    line = "\n" if sys.stderr.isatty() else ""  # of the progress bar
    complain(
        f"{line}wdsremux: the conversion crashed ({signal.Signals(-code).name}); starting it "
        "again with worker processes, to find the record"
    )
    sys.argv[1:] = _going_on(sys.argv[1:])
    again = _Watched()
    if again.start(handlers) is None:
        _end(again.wait())
    return _nobody


class _Watched:
    """The work in a process of its own, as its watcher sees it."""

    def __init__(self) -> None:
        self.is_asked_to_stop = False
        self._pid = self._inbox = 0
        self._heard = bytearray()

    def start(self, handlers: Mapping[signal.Signals, Any]) -> Arm | None:
        """Fork; None in the watcher. `handlers` are those that the work is to begin with."""
        watcher = os.getpid()
        inbox, outbox = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        try:
            self._pid, self._inbox = os.fork(), inbox
            if self._pid:
                os.close(outbox)
                os.set_blocking(inbox, False)
                for number in _PASSED_ON:
                    signal.signal(number, self._pass_on)
                return None
            for number, handler in handlers.items():
                signal.signal(number, handler)
            _die_with(watcher)
            os.close(inbox)
            os.set_blocking(outbox, False)
            # Written at once, in C, whatever the main thread is at.
            signal.set_wakeup_fd(outbox, warn_on_full_buffer=False)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

        def arm() -> None:
            os.write(outbox, bytes((_ARMED,)))

        return arm

    def wait(self) -> int:
        """Wait for the end; return the exit code, or the negative number of a signal."""
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status)

    @property
    def is_armed(self) -> bool:
        """Whether another start helps."""
        self._listen()
        return _ARMED in self._heard

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        """Send a signal on, unless the work has got it, too: Ctrl-C goes to the whole group.

        A second one would end it without its last words.
        """
        self.is_asked_to_stop = True
        end = time.monotonic() + _HEARD_WITHIN_S
        while (left_s := end - time.monotonic()) > 0:
            is_over = self._listen()
            if number in self._heard:
                self._heard.remove(number)
                return
            if is_over:
                return
            select.select([self._inbox], [], [], left_s)
        if not self._has_pending(number):
            os.kill(self._pid, number)

    def _has_pending(self, number: int) -> bool:
        """Return whether a signal has come to the work, which did not yet get to hear it."""
        handle = os.open(f"/proc/{self._pid}/status", os.O_RDONLY)
        try:
            _, _, after = os.read(handle, 1 << 16).partition(b"\nShdPnd:")
        finally:
            os.close(handle)
        return bool(int(after.split(maxsplit=1)[0], 16) >> number - 1 & 1)

    def _listen(self) -> bool:
        """Take what has come by the pipe; return whether it has ended."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._inbox, 512):
                self._heard += data
            return True
        return False


def _is_wanted(words: Sequence[str]) -> bool:
    """Return whether threads may do the work, and whether this process can be forked safely."""
    if sys.platform != "linux" or words[:1] != ["convert"]:
        return False
    others = ("--transform", "--engine", "--dry-run", "--help", "-h")
    if any(word.startswith(others) for word in words):
        return False
    try:
        with os.scandir("/proc/self/task") as threads:
            return len([*threads]) == 1
    except OSError:
        return False


def _going_on(words: Sequence[str]) -> list[str]:
    """Return the words that go on from where a conversion was, and do not start it anew."""
    again = [word for word in words if word != "--overwrite"]
    return [*again, "--no-overwrite"] if any(w.startswith("--config") for w in words) else again


def _die_with(watcher: int) -> None:
    """Ask the kernel to kill this process with its watcher."""
    import ctypes

    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG, prctl(2)
    if os.getppid() != watcher:
        os._exit(1)  # it was gone before


def _end(code: int) -> NoReturn:
    """End as the work has ended."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the work has left its core already
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code if code >= 0 else 128 - code)


def _nobody() -> None:
    """Tell nobody."""
