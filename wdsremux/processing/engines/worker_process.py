"""The run's side of one worker process: starts it, sends items, receives results, sees its end."""

import contextlib
import fcntl
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from wdsremux.core.errors import TransformError
from wdsremux.core.heartbeat import signal as pass_on
from wdsremux.processing.engines.base import WorkerDiedError, WorkerOverdueError
from wdsremux.processing.engines.failures import exception_from_failure
from wdsremux.processing.engines.frames import (
    BrokenFrameError,
    Frame,
    FrameKind,
    frame_of,
    read_frame,
    write_frame,
)
from wdsremux.processing.engines.row_mark import RowMark
from wdsremux.processing.engines.shared_memory import SharedMemoryReader

_START_TIMEOUT_S = 300.0
_EXIT_GRACE_S = 5.0
_PIPE_BYTES = 1 << 20

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from wdsremux.processing.engines.child import main; main()"
)
"""The worker gets the run's import path, so that it can import the same modules."""

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""There is one worker per core: libraries that start a thread per core would slow it down."""


class WorkerProcess:
    """One worker process.

    Used by one thread; `kill` and `kill_if_overdue` may be called from any. On Linux the process
    also dies with the thread that made it.
    """

    def __init__(self, timeout_s: float | None) -> None:
        """Start the process; without progress for `timeout_s` it is overdue."""
        self._timeout_s = timeout_s
        self._allowed_s = math.inf
        self._deadline_s = math.inf
        self._overdue_s: float | None = None
        self._killed = False
        self._reaping = threading.Lock()
        try:
            self._mark = RowMark()
        except OSError as exc:
            raise _not_started(exc) from exc
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and code)
                self._command(),
                pass_fds=(self._mark.handle,),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=_environment(),
                # Ctrl-C and signals to the process group reach the run only: it decides.
                start_new_session=True,
            )
        except OSError as exc:
            self._mark.close()
            raise _not_started(exc) from exc
        assert self._process.stdin  # noqa: S101 (asked for above)
        assert self._process.stdout  # noqa: S101
        self._to: Any = self._process.stdin
        self._from: Any = self._process.stdout
        _widen(self._from.fileno())
        self._memory = SharedMemoryReader(self._process.pid)

    def _command(self) -> list[str]:
        path = json.dumps([*map(str, sys.path)])
        return [sys.executable, "-P", "-c", _BOOT, str(self._mark.handle), path]

    def start(self, program: bytes) -> None:
        """Build the work in the worker from `make_work` as pickled.

        Raises what `make_work` raises, and TransformError when the process dies before it is ready.
        """
        try:
            self._send(frame_of(FrameKind.START, (program, self._timeout_s)), _START_TIMEOUT_S)
            frame = self._receive(_START_TIMEOUT_S)
        except WorkerDiedError as death:
            raise TransformError(
                f"a worker process died while starting: {death}; its output is above. Run with "
                "--workers 0 to see where"
            ) from death
        if frame.kind is FrameKind.FAILED:
            raise exception_from_failure(frame.value())
        assert frame.kind is FrameKind.READY, f"unexpected frame {frame.kind!r}"  # noqa: S101
        if self._memory.finds(frame.value()):
            # If it dies here, sending the first item fails.
            with contextlib.suppress(WorkerDiedError):
                self._send(frame_of(FrameKind.SHARE), _START_TIMEOUT_S)

    def run(self, item: Frame) -> Iterator[Any]:
        """Yield the results of one item as they arrive.

        Raises what the work raises, and WorkerDiedError if the process ends before the item. The
        process is killed if the iterator is not read to its end.
        """
        finished = False
        self._mark.set(None)
        try:
            self._send(item, self._timeout_s)
            while (frame := self._receive(self._timeout_s)).kind is FrameKind.RESULT:
                yield frame.value()
                del frame
            finished = True
        finally:
            if not finished:
                self.kill()
        if frame.kind is FrameKind.FAILED:
            raise exception_from_failure(frame.value())
        assert frame.kind is FrameKind.DONE, f"unexpected frame {frame.kind!r}"  # noqa: S101

    def is_running(self) -> bool:
        """Return whether the process can take an item; a killed one may take a moment to end."""
        return not self._killed and not self._has_ended()

    def kill_if_overdue(self, now_s: float, uptime_s: float) -> None:
        """Kill the process if it is past its deadline, and the run was not stopped meanwhile."""
        if now_s > self._deadline_s and uptime_s > self._allowed_s:
            self._overdue_s = self._allowed_s
            self.kill()

    def kill(self) -> None:
        """Kill the process and what it started."""
        self._killed = True
        with self._reaping:
            self._kill_group()
            self._process.kill()

    def close(self) -> None:
        """Stop the process, gracefully if it is idle, kill what it started, and reap it."""
        with contextlib.suppress(OSError):
            self._to.close()
        self._reap()
        self._from.close()
        self._mark.close()

    def _send(self, frame: Frame, within_s: float | None) -> None:
        self._expect_within(within_s)
        try:
            write_frame(self._to, frame)
        except OSError as exc:
            raise self._death() from exc
        finally:
            self._deadline_s = math.inf

    def _receive(self, within_s: float | None) -> Frame:
        """Wait for the next frame that is neither a heartbeat nor a signal, which is passed on.

        Raises WorkerDiedError, and TransformError for data that is not a frame.
        """
        try:
            while True:
                self._expect_within(within_s)
                frame = read_frame(self._from, self._take)
                if frame.kind is FrameKind.SIGNAL:
                    pass_on(frame.value())
                elif frame.kind is FrameKind.ALIVE:
                    within_s = frame.value()
                else:
                    return frame
        except BrokenFrameError as exc:
            self.kill()
            raise TransformError(
                f"a worker process sent a malformed message {exc}: your function or a library "
                "writes to a file descriptor that it did not open; run with --workers 0 to find it"
            ) from exc
        except (EOFError, OSError) as exc:
            raise self._death() from exc
        finally:
            self._deadline_s = math.inf

    def _take(self, handle: int, length: int) -> memoryview:
        """Map a payload of the worker, and release those that are no longer used."""
        for unused in self._memory.unused():
            write_frame(self._to, frame_of(FrameKind.UNUSED, unused))
        return self._memory.take(handle, length)

    def _expect_within(self, within_s: float | None) -> None:
        if within_s is not None:
            self._allowed_s = within_s
            self._deadline_s = time.monotonic() + within_s

    def _death(self) -> WorkerDiedError:
        status = self._reap()
        if self._overdue_s is not None:
            return WorkerOverdueError(f"no progress for {self._overdue_s:g} s", row=self._mark.row)
        is_killed = status == -signal.SIGKILL and not self._killed
        return WorkerDiedError(_ending(status), row=self._mark.row, is_killed=is_killed)

    def _reap(self) -> int:
        """Wait for the end, kill what the process started, and return its status."""
        if not self._ends_within(_EXIT_GRACE_S):
            self.kill()
            self._ends_within(math.inf)
        with self._reaping:
            self._kill_group()
            return self._process.wait()

    def _ends_within(self, seconds: float) -> bool:
        """Wait like `Popen.wait`, but do not reap."""
        end, pause_s = time.monotonic() + seconds, 0.0005
        while not self._has_ended():
            if time.monotonic() >= end:
                return False
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)
        return True

    def _has_ended(self) -> bool:
        """Return whether the process has ended; it is not reaped where `waitid` exists.

        Its group can be killed only before that: afterwards its number may be reused.
        """
        with self._reaping:
            if self._process.returncode is None and hasattr(os, "waitid"):
                options = os.WEXITED | os.WNOHANG | os.WNOWAIT
                with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored
                    return os.waitid(os.P_PID, self._process.pid, options) is not None
            return self._process.poll() is not None

    def _kill_group(self) -> None:
        """Kill the process and what it started, unless it is already reaped."""
        if self._process.returncode is None and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _not_started(exc: OSError) -> TransformError:
    return TransformError(f"cannot start a worker process: {exc}; run with --workers 0")


def _environment() -> dict[str, str]:
    """Return the environment of workers; the user's settings of thread counts win."""
    # A function that iterates over a set of strings must see the same order in every worker and
    # run: another seed would change bytes.
    return dict.fromkeys(_ONE_THREAD, "1") | os.environ | {"PYTHONHASHSEED": "0"}


def _widen(pipe: int) -> None:
    """Enlarge the pipe of results on Linux: fewer context switches."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _ending(status: int) -> str:
    """Describe the end of a process."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
