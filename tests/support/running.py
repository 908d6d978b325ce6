"""Commands while they run: started, looked at, sent signals."""

import contextlib
import os
import signal
import subprocess
import time

import psutil
from support.runs import COMMAND

DEADLINE_S = 60.0


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """Ask again and again until a condition holds, and return what it gave."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {deadline_s:g} s for {what}"
        time.sleep(0.01)
    return found


class Running:
    """A `wdsremux` command in a process group of its own; a context manager that leaves nothing."""

    def __init__(self, *arguments, env=None):
        self.arguments = [*map(str, arguments)]
        self._env = {**os.environ, **(env or {})}

    def __enter__(self):
        self._process = subprocess.Popen(
            [COMMAND, *self.arguments],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.psutil = psutil.Process(self.pid)
        return self

    def __exit__(self, *exc):
        # Workers lead groups of their own.
        for process in (*self.children(), self.psutil):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.communicate()

    def children(self):
        """Return the processes that it has started, and theirs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return self.psutil.children(recursive=True)
        return []

    def wait_for(self, condition, what):
        """Wait until a condition holds; the command must still be running then."""

        def holds_or_ended():
            assert self._process.poll() is None, self._process.stderr.read()
            return condition()

        return wait_until(holds_or_ended, what)

    def send(self, number):
        """Send a signal to the process alone."""
        self._process.send_signal(number)

    def kill_group(self):
        """Kill -9 the whole process group."""
        os.killpg(self.pid, signal.SIGKILL)

    def ended(self, within_s=DEADLINE_S):
        """Wait for the end and return (exit code, stderr)."""
        _, errors = self._process.communicate(timeout=within_s)
        return self._process.returncode, errors


def are_gone(processes):
    """Return whether processes have ended."""
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )
