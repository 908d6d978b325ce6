"""Starts a conversion once more when a record crashed or stalled one of its threads.

Built-in steps run in threads, where a native crash, or the kernel when memory runs out, ends the
whole process, and where nothing can stop a record that takes too long. So on Linux the process that
the user started only watches, and a child does the work. The second child finds the lock of the
first, uses worker processes for that reason, and so finds and rejects the record.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from wdsremux.cli import console
from wdsremux.cli.signals import FORWARDED
from wdsremux.core.deadlines import Deadlines, Uptime, watch

_LOOK_EVERY_S = 0.5
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
_NOT_IN_THREADS = ("--transform", "--engine", "--dry-run", "--help", "-h")


def supervise() -> None:
    """Return in the process that does the work; the supervisor ends with its exit code."""
    command_line = sys.argv[1:]
    if command_line[:1] != ["convert"] or sys.platform != "linux":
        return
    if any(argument.startswith(_NOT_IN_THREADS) for argument in command_line):
        return
    with contextlib.suppress(OSError):  # no room for another process
        code = _supervised(command_line)
        if code is not None:
            sys.exit(code)


def _supervised(command_line: Sequence[str]) -> int | None:
    """Run the command, twice if a record ended it; return its exit code as a shell shows it.

    Return None in the child.
    """
    child = _Child()
    for is_first in (True, False):
        kills = _out_of_memory_kills()
        if child.run(command_line):
            return None
        if child.code >= 0 or child.is_stopped:
            break
        is_by_record, what = _ending(child, is_killed=_out_of_memory_kills() > kills)
        is_retried = is_first and is_by_record
        advice = "the same command resumes it"
        if is_retried:
            advice = "starting it again with worker processes, to find the record"
        line = "\n" if sys.stderr.isatty() else ""  # ends the progress bar
        console.err(f"{line}wdsremux: {what}; {advice}")
        if not is_retried:
            break
        # What was there before is removed already: do not remove what was made since.
        again = [word for word in command_line[1:] if word != "--overwrite"]
        command_line = ["convert", "--no-overwrite", *again]
    return child.code if child.code >= 0 else 128 - child.code


def _ending(child: "_Child", *, is_killed: bool) -> tuple[bool, str]:
    """Return whether a record may have ended the child, and what happened."""
    if child.limit_s is not None:
        return True, f"a record exceeds --record-timeout ({child.limit_s:g} s) in a thread"
    reason = signal.Signals(-child.code).name
    if reason == "SIGKILL" and is_killed:
        return True, "the conversion was killed (out of memory)"
    is_crash = reason in _CRASHES
    return is_crash, f"the conversion {'crashed' if is_crash else 'was killed'} ({reason})"


class _Child:
    """The process that does the work."""

    def __init__(self) -> None:
        self._deadlines = Deadlines()
        self._pid = 0
        self.code = 0
        """Exit code, or the negative number of the signal that ended it."""
        self.is_stopped = False
        """Whether it was asked to stop."""
        self.limit_s: float | None = None
        """Time limit of the record for which it was killed."""

    def run(self, command_line: Sequence[str]) -> bool:
        """Run the command and wait for its end; return True in the child, which is to do it."""
        self.is_stopped, self.limit_s = False, None
        self._deadlines.clear_all()
        if self._is_child_after_fork():
            sys.argv[1:] = command_line
            return True
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,), daemon=True)
        watcher.start()
        os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        ended.set()
        watcher.join()  # from now on its number may belong to another process
        self.code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        for number in FORWARDED:
            signal.signal(number, signal.SIG_IGN)
        return False

    def _is_child_after_fork(self) -> bool:
        """Fork: this process has one thread and has imported little, so another one starts fast."""
        supervisor = os.getpid()
        restored = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            self._pid = os.fork()
            if self._pid == 0:
                # Blocked until the command line handles them.
                restored = {*restored, *FORWARDED.values()}
                self._begin_work(supervisor)
                return True
            for number in FORWARDED:
                signal.signal(number, self._forward)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, restored)
        return False

    def _begin_work(self, supervisor: int) -> None:
        """Tie this process to its supervisor."""
        import ctypes

        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG: end with it
        if os.getppid() != supervisor:
            os._exit(1)  # it has ended already
        watch(self._deadlines)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self.is_stopped = True
        os.kill(self._pid, FORWARDED[signal.Signals(number)])  # not yet reaped: it is the child

    def _watch(self, ended: threading.Event) -> None:
        """Kill the child when one of its threads is overdue."""
        uptime = Uptime()
        while not ended.wait(_LOOK_EVERY_S):
            uptime_s = uptime.seconds()
            late = self._deadlines.overdue(time.monotonic())
            if late is not None and uptime_s > late[1]:
                self.limit_s = late[1]
                os.kill(self._pid, signal.SIGKILL)
                return


def _out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed for memory since this machine started."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
