"""The main program of a worker process: items arrive by one pipe, results leave by another.

Started by `worker_process.py` with `python -c`, never by forking and never through the user's
`__main__`. The pipes are moved away from the standard streams first, so that a function that prints
cannot damage the protocol.
"""

import contextlib
import io
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from wdsremux.core.errors import TransformError
from wdsremux.core.heartbeat import Signal, Worked, listen, listen_to_rows, receiving
from wdsremux.processing.engines.failures import failure_from_exception
from wdsremux.processing.engines.frames import (
    BrokenFrameError,
    Frame,
    FrameKind,
    frame_of,
    read_frame,
    write_frame,
)
from wdsremux.processing.engines.row_mark import RowMark
from wdsremux.processing.engines.shared_memory import SharedMemoryWriter

_BEAT_EVERY_S = 0.2
_EXIT_GRACE_S = 5.0

Work = Callable[[object], Iterator[object]]


def main() -> None:
    """Serve the process that started this one until it closes stdin or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    listen_to_rows(RowMark(int(sys.argv.pop())).set)
    inbox, outbox = _claim_pipes()
    with contextlib.suppress(BrokenPipeError):  # the run is gone
        _Worker(inbox, _Sender(outbox)).serve()


class _Sender:
    """Sends frames from any thread."""

    def __init__(self, outbox: io.FileIO) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()
        self._sent_s = 0.0
        self._allowed_s: float | None = None
        self._rows = 0
        self._counted_s = 0.0
        self.timeout_s: float | None = None
        """Time limit for the next frame unless a heartbeat extends it; None for no limit."""
        self.memory: SharedMemoryWriter | None = None
        """Shared memory for large payloads, once the run has confirmed that it can map them."""

    def send(self, frame: Frame) -> None:
        """Write one frame; blocks while the run is busy."""
        with self._lock:
            write_frame(self._outbox, frame, self.memory)
            self._sent_s = time.monotonic()
            self._allowed_s = self.timeout_s

    def beat(self, within_s: float | None) -> None:
        """Send a heartbeat, unless a recent frame allowed as much time."""
        if self.timeout_s is None:
            return
        wanted_s = self.timeout_s if within_s is None else within_s
        is_early = time.monotonic() - self._sent_s < _BEAT_EVERY_S
        if is_early and wanted_s == self._allowed_s:
            return
        self.send(frame_of(FrameKind.ALIVE, wanted_s))
        self._allowed_s = wanted_s

    def signal(self, sent: Signal) -> None:
        """Send a signal; rows are summed up for a short time."""
        if not isinstance(sent, Worked):
            self._send_signal(sent)
            return
        self._rows += sent.rows
        if time.monotonic() - self._counted_s >= _BEAT_EVERY_S:
            self.send_rows()

    def send_rows(self) -> None:
        """Send the rows that are not reported yet: those of a batch come before it."""
        if self._rows:
            self._send_signal(Worked(self._rows))
            self._rows, self._counted_s = 0, time.monotonic()

    def _send_signal(self, sent: Signal) -> None:
        # Heartbeats are not affected: the time limit that the last one has set is still valid.
        with self._lock:
            write_frame(self._outbox, frame_of(FrameKind.SIGNAL, sent))


class _Worker:
    """Runs the work in the main thread; a listening thread sees at once when the run is gone."""

    def __init__(self, inbox: io.FileIO, sender: _Sender) -> None:
        self._inbox = inbox
        self._sender = sender
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._busy = threading.Event()
        self._memory = SharedMemoryWriter()

    def serve(self) -> None:
        """Build the work, then run item after item."""
        threading.Thread(target=self._listen, name="wdsremux-listener", daemon=True).start()
        listen(self._sender.beat)
        start = self._frames.get()
        if start is None:
            return
        try:
            program, self._sender.timeout_s = start.value()
            work = _built_work(program)
        except BaseException as exc:  # noqa: BLE001 (travels to the run, whatever it is)
            self._finish(frame_of(FrameKind.FAILED, failure_from_exception(exc)))
            return
        del start, program
        self._finish(frame_of(FrameKind.READY, self._memory.probe()))
        with receiving(self._sender.signal):
            while (frame := self._frames.get()) is not None:
                self._finish(self._outcome(work, frame))

    def _outcome(self, work: Work, frame: Frame) -> Frame:
        try:
            for result in work(frame.value()):
                self._sender.send_rows()
                self._sender.send(frame_of(FrameKind.RESULT, result))
                del result  # a batch is large, and the next one may take its time
        except BaseException as exc:  # noqa: BLE001 (travels to the run, whatever it is)
            return frame_of(FrameKind.FAILED, failure_from_exception(exc))
        return frame_of(FrameKind.DONE)

    def _finish(self, frame: Frame) -> None:
        # Idle before the run knows it: the run may close stdin right after this frame.
        self._busy.clear()
        self._sender.send(frame)

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError, BrokenFrameError):
            while True:
                frame = read_frame(self._inbox)
                if frame.kind is FrameKind.SHARE:
                    self._sender.memory = self._memory
                elif frame.kind is FrameKind.UNUSED:
                    self._memory.release(frame.value())
                else:
                    self._busy.set()
                    self._frames.put(frame)
        if self._busy.is_set():
            _exit_at_once()
        self._frames.put(None)
        time.sleep(_EXIT_GRACE_S)  # for what the user's code does at exit
        _exit_at_once()


def _built_work(program: bytes) -> Work:
    try:
        make_work: Callable[[], Work] = pickle.loads(program)
    except Exception as exc:
        what = f"{type(exc).__name__}: {exc}"
        raise TransformError(
            f"cannot load the function in a worker process: {what}; make sure that everything it "
            "uses can be imported, or put it into a file and pass FILE.py:NAME"
        ) from exc
    return make_work()


def _claim_pipes() -> tuple[io.FileIO, io.FileIO]:
    """Move the pipes away from stdin and stdout; printed output goes to stderr from now on.

    Processes that the user's function starts or forks do not inherit the pipes: that would hide the
    end of this process.
    """
    inbox = os.fdopen(os.dup(0), "rb", buffering=0)
    outbox = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # the run itself has no stderr
        os.dup2(nothing, 1)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A line is one write, also under PYTHONUNBUFFERED: those of workers do not mix.
            stream.reconfigure(line_buffering=True, write_through=False)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=inbox.close)
        os.register_at_fork(after_in_child=outbox.close)
    return inbox, outbox


def _die_with_parent() -> None:
    """Ask Linux to kill this process with the thread that started it.

    The end of stdin shows the same on all systems, but the listener does not see it while native
    code holds the interpreter's lock.
    """
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 (only here, and only on Linux)

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG, prctl(2)


def _exit_at_once() -> None:
    """End this process and what it started: the run is gone."""
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
