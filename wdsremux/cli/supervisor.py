"""Starts a conversion once more when a codec crashed in one of its threads.

Built-in steps run in threads, where a native crash, or the kernel when memory runs out, ends the
whole process. So on Linux the process that the user started only waits, and a child does the work.
The second child finds the lock of the first, uses worker processes for that reason, and so finds
and rejects the record.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from wdsremux.cli import console
from wdsremux.cli.signals import FORWARDED

VARIABLE = "WDSREMUX_SUPERVISOR"
"""Process number of the supervisor, in the environment of the child."""
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
_NOT_IN_THREADS = ("--transform", "--engine", "--dry-run", "--help", "-h")


def supervise() -> None:
    """Return in the process that does the work; the supervisor ends with its exit code."""
    supervisor, command_line = os.environ.pop(VARIABLE, None), sys.argv[1:]
    if supervisor is not None:
        import ctypes

        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG: end with it
        if os.getppid() != int(supervisor):
            os._exit(1)  # it has ended already
    elif command_line[:1] == ["convert"] and not any(
        argument.startswith(_NOT_IN_THREADS) for argument in command_line
    ):
        with contextlib.suppress(OSError):  # no room for another process
            if sys.platform == "linux":
                sys.exit(_supervised(command_line))


def _supervised(command_line: Sequence[str]) -> int:
    """Run the command, twice if it crashed; return its exit code as a shell shows it."""
    code = 0
    for is_first in (True, False):
        kills = _out_of_memory_kills()
        code, is_stopped = _run(command_line)
        if code >= 0 or is_stopped:
            break
        reason = signal.Signals(-code).name
        verb = "crashed" if (is_crash := reason in _CRASHES) else "was killed"
        if reason == "SIGKILL" and _out_of_memory_kills() > kills:
            is_crash, reason = True, "out of memory"
        is_retried = is_first and is_crash
        advice = "the same command resumes it"
        if is_retried:
            advice = "starting it again with worker processes, to find the record"
        line = "\n" if sys.stderr.isatty() else ""  # ends the progress bar
        console.err(f"{line}wdsremux: the conversion {verb} ({reason}); {advice}")
        if not is_retried:
            break
        # What was there before is removed already: do not remove what was made since.
        again = [word for word in command_line[1:] if word != "--overwrite"]
        command_line = ["convert", "--no-overwrite", *again]
    return code if code >= 0 else 128 - code


def _run(command_line: Sequence[str]) -> tuple[int, bool]:
    """Run the command in a child; return its exit code and whether it was asked to stop."""
    start = len(sys.orig_argv) - len(sys.argv) + 1
    command = [sys.executable, *sys.orig_argv[1:start], *command_line]
    environment = {**os.environ, VARIABLE: str(os.getpid())}
    is_stopped = False

    def forward(number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopped
        is_stopped = True
        os.kill(pid, FORWARDED[signal.Signals(number)])  # not yet waited for: it is the child

    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        mask = [*before, *FORWARDED.values()]
        pid = os.posix_spawn(sys.executable, command, environment, setsigmask=mask)
        for number in FORWARDED:
            signal.signal(number, forward)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _, status = os.waitpid(pid, 0)
    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    return os.waitstatus_to_exitcode(status), is_stopped


def _out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed for memory since this machine started."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
