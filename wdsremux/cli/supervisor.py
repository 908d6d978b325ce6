"""Starts a conversion once more when a codec crashed in one of its threads.

Built-in steps run in threads, where a native crash ends the whole process. So on Linux the process
that the user started only waits, and a child does the work. The second child finds the lock of the
first, uses worker processes for that reason, and so finds and rejects the record.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from wdsremux.cli import console
from wdsremux.cli.signals import FORWARDED

Arm = Callable[[], None]
"""Reports to the supervisor that from now on a second start helps against a crash."""

VARIABLE = "WDSREMUX_SUPERVISOR"
"""Process number and pipe of the supervisor, in the environment of the child."""
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")


def supervise() -> Arm:
    """Return in the process that does the work; the supervisor ends as that process did."""
    supervisor = os.environ.pop(VARIABLE, None)
    if supervisor is not None:
        return _end_with(*map(int, supervisor.split(":")))
    if _is_wanted(sys.argv[1:]):
        with contextlib.suppress(OSError):  # no room for another process
            _end(_supervised(sys.argv[1:]))
    return lambda: None


def _supervised(words: Sequence[str]) -> int:
    """Run the command, twice if it crashed; return its exit code, negative for a signal."""
    code, is_armed = _run(words)
    crash = next((name for name in _CRASHES if getattr(signal, name) == -code), None)
    if crash is not None and is_armed:
        line = "\n" if sys.stderr.isatty() else ""  # ends the progress bar
        console.err(
            f"{line}wdsremux: the conversion crashed ({crash}); starting it again with worker "
            "processes, to find the record"
        )
        code, _ = _run(_resuming(words))
    return code


def _run(words: Sequence[str]) -> tuple[int, bool]:
    """Run the command in a child; return its exit code, negative for a signal, and if to retry."""
    inbox, outbox = os.pipe()
    os.set_inheritable(outbox, True)
    os.set_blocking(inbox, False)
    start = len(sys.orig_argv) - len(sys.argv) + 1
    command = [sys.executable, *sys.orig_argv[1:start], *words]
    environment = {**os.environ, VARIABLE: f"{os.getpid()}:{outbox}"}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        mask = [*before, *FORWARDED.values()]
        pid = os.posix_spawn(sys.executable, command, environment, setsigmask=mask)
        is_asked_to_stop = False

        def forward(number: int, _frame: FrameType | None) -> None:
            nonlocal is_asked_to_stop
            is_asked_to_stop = True
            os.kill(pid, FORWARDED[signal.Signals(number)])  # not yet waited for: it is the child

        for number in FORWARDED:
            signal.signal(number, forward)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(outbox)
    _, status = os.waitpid(pid, 0)
    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    try:
        is_armed = bool(os.read(inbox, 1))
    except BlockingIOError:
        is_armed = False
    os.close(inbox)
    return os.waitstatus_to_exitcode(status), is_armed and not is_asked_to_stop


def _is_wanted(words: Sequence[str]) -> bool:
    """Return whether threads may do the work."""
    others = ("--transform", "--engine", "--dry-run", "--help", "-h")
    is_conversion = words[:1] == ["convert"] and not any(w.startswith(others) for w in words)
    return sys.platform == "linux" and is_conversion


def _resuming(words: Sequence[str]) -> list[str]:
    """Return the arguments that resume a conversion, without those that start from scratch."""
    again = [word for word in words if word != "--overwrite"]
    return [*again, "--no-overwrite"] if any(w.startswith("--config") for w in words) else again


def _end_with(supervisor: int, outbox: int) -> Arm:
    """Ask the kernel to kill this process when its supervisor ends."""
    import ctypes

    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG, prctl(2)
    if os.getppid() != supervisor:
        os._exit(1)  # it has ended already
    os.set_inheritable(outbox, False)

    def arm() -> None:
        os.write(outbox, b"!")

    return arm


def _end(code: int) -> NoReturn:
    """End as the child ended: with its exit code, or by the same signal."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child has left its core already
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code if code >= 0 else 128 - code)
