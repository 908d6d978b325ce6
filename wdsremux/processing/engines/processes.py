"""The engine of processes: for functions that hold the interpreter's lock, crash, hang or leak.

A worker is a fresh interpreter, so the user's main module needs no guard, and all systems behave
alike. Only items go in and finished results come out.
"""

import contextlib
import io
import pickle
import sys
import threading
import time
import types
from collections import ChainMap
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import cloudpickle

from wdsremux.core.deadlines import Uptime
from wdsremux.core.errors import TransformError
from wdsremux.processing.engines.base import ItemT, MakeWork, Recover, ResultT, WorkerDiedError
from wdsremux.processing.engines.frames import Frame, FrameKind, frame_of
from wdsremux.processing.engines.ordered import DEFAULT_BUFFER_BYTES, OrderedMap, Runner
from wdsremux.processing.engines.worker_process import WorkerProcess

_NO_FILE = "<dynamic-code>"
"""What cloudpickle puts in the place of a file name."""
_ADVICE = (
    "create what it needs inside the function, or put it into a file and pass FILE.py:NAME, or run "
    "with --workers 0"
)


class ProcessEngine:
    """Runs items in worker processes, one at a time in each.

    A worker that dies in the middle of an item is replaced, and `recover` yields the missing
    results. A worker that sends neither a result nor a `heartbeat()` for `result_timeout_s` (at
    least a second) is killed and counts as dead; time in which the run does not take results is not
    counted.
    """

    def __init__(
        self,
        workers: int,
        *,
        max_buffer_bytes: int = DEFAULT_BUFFER_BYTES,
        result_timeout_s: float | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"a process engine needs at least 1 worker, got {workers}")
        self._workers = workers
        self._max_buffer_bytes = max_buffer_bytes
        self._result_timeout_s = result_timeout_s

    def map(
        self,
        make_work: MakeWork[ItemT, ResultT],
        items: Iterable[ItemT],
        recover: Recover[ItemT, ResultT] | None = None,
    ) -> Generator[ResultT, None, None]:
        """Yield the results of all items, in order.

        Raises TransformError if `make_work` or an item cannot be sent to a worker, or if a worker
        cannot be started; WorkerDiedError if one dies and there is no `recover`.
        """
        program = _program(make_work)
        runners: list[_ProcessRunner[ItemT, ResultT]] = [
            _ProcessRunner(program, recover, self._result_timeout_s) for _ in range(self._workers)
        ]
        with _watched(runners):
            yield from OrderedMap(runners, items, self._max_buffer_bytes).results()


class _ProcessRunner(Runner[ItemT, ResultT]):
    """Runs items in one worker process, which is replaced when it dies."""

    def __init__(
        self,
        program: bytes,
        recover: Recover[ItemT, ResultT] | None,
        timeout_s: float | None,
    ) -> None:
        self._program = program
        self._recover = recover
        self._timeout_s = timeout_s
        self._worker: WorkerProcess | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, item: ItemT) -> Iterator[ResultT]:
        """Yield the results of the item, also if the worker dies and there is a `recover`."""
        last: ResultT | None = None
        try:
            for result in self._attempt(item):
                yield result
                last = result
        except WorkerDiedError as exc:
            if self._recover is None or self._stopped:
                raise
            death = exc
        else:
            return
        yield from self._recover(item, last, death, self._attempt)

    def stop(self) -> None:
        """Kill the worker; no new one is started."""
        with self._lock:
            self._stopped = True
            if self._worker is not None:
                self._worker.kill()

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def kill_if_overdue(self, now_s: float, uptime_s: float) -> None:
        """Kill the worker if it did not report progress in time."""
        with self._lock:
            if self._worker is not None:
                self._worker.kill_if_overdue(now_s, uptime_s)

    def _attempt(self, item: ItemT) -> Iterator[ResultT]:
        frame = _item_frame(item)
        yield from self._living_worker().run(frame)

    def _living_worker(self) -> WorkerProcess:
        """Return the worker, or a new one if there is none or it has died."""
        worker = self._worker
        if worker is not None and worker.is_running():
            return worker
        if worker is not None:
            worker.close()
        with self._lock:
            if self._stopped:
                raise WorkerDiedError("the run has stopped")
            worker = self._worker = WorkerProcess(self._timeout_s)
        worker.start(self._program)
        return worker


@contextlib.contextmanager
def _watched(runners: Sequence[_ProcessRunner[Any, Any]]) -> Iterator[None]:
    """Enforce the runners' deadlines.

    In a thread, because a read from a pipe has no time limit.
    """
    ended = threading.Event()

    def watch() -> None:
        uptime = Uptime()
        while not ended.wait(0.25):
            uptime_s = uptime.seconds()
            for runner in runners:
                runner.kill_if_overdue(time.monotonic(), uptime_s)

    thread = threading.Thread(target=watch, name="wdsremux-watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # Daemon threads are frozen when the interpreter ends: Python 3.13 would wait forever.
        if not sys.is_finalizing():
            thread.join()


def _program(make_work: MakeWork[ItemT, ResultT]) -> bytes:
    try:
        file = io.BytesIO()
        _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(make_work)
    except Exception as exc:
        raise TransformError(
            f"cannot send the function to worker processes: {type(exc).__name__}: {exc}; {_ADVICE}"
        ) from exc
    return file.getvalue()


def _reduced(code: types.CodeType) -> tuple[Any, ...]:
    """Return how to make a code object, with its file name: cloudpickle drops that."""
    make, arguments = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return make, tuple(code.co_filename if one == _NO_FILE else one for one in arguments)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Keeps the file names of functions, so that tracebacks show the lines of the user."""

    dispatch_table: ClassVar[ChainMap[type, Any]] = ChainMap(
        {types.CodeType: _reduced}, cloudpickle.Pickler.dispatch_table
    )


def _item_frame(item: Any) -> Frame:
    try:
        return frame_of(FrameKind.ITEM, item)
    except Exception as exc:
        raise TransformError(
            f"cannot send {type(item).__name__} to a worker process: {type(exc).__name__}: {exc}; "
            "run with --workers 0"
        ) from exc
