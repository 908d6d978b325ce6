"""The core that parallel engines share: runner threads take items, results keep their order.

Each item has a slot in a queue, in the order of the items. Runners append results to their slots,
the caller takes them from the head. A runner whose slot is not at the head waits if its result
exceeds the byte bound; the head may always add one result to an empty slot, so the queue cannot
deadlock: items start in order, hence the head always has a runner.
"""

import atexit
import contextlib
import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Generic, cast

from wdsremux.core.heartbeat import Signal, Worked, receiving, signal
from wdsremux.processing.engines.base import ItemT, ResultT

DEFAULT_BUFFER_BYTES = 128_000_000
"""Size of finished results that wait for their turn; each runner may hold one more."""

_JOIN_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 3.0
"""For all threads together, so that stopping a run is fast."""

_WAKE_S = 0.2
"""How often signals are passed on while there is no result."""

_log = logging.getLogger(__name__)


class Runner(ABC, Generic[ItemT, ResultT]):
    """Runs items one after another in one thread of its own; started by the first item it gets."""

    @abstractmethod
    def run(self, item: ItemT) -> Iterator[ResultT]:
        """Yield the results of the item."""

    def stop(self) -> None:
        """Make a running item end soon. Called from any thread, at any moment, also twice."""

    def close(self) -> None:
        """Free the resources of the runner. The last call in its own thread."""


class _StoppedError(Exception):
    """The map was closed while a runner was busy."""


class _Slot(Generic[ItemT, ResultT]):
    """The place of one item in the queue."""

    __slots__ = ("done", "error", "item", "results")

    def __init__(self, item: ItemT | None, error: BaseException | None = None) -> None:
        self.item = item
        self.error = error
        self.done = error is not None
        self.results: deque[tuple[ResultT, int]] = deque()


class OrderedMap(Generic[ItemT, ResultT]):
    """One run of items over runners; used once."""

    def __init__(
        self,
        runners: Sequence[Runner[ItemT, ResultT]],
        items: Iterable[ItemT],
        max_buffer_bytes: int = DEFAULT_BUFFER_BYTES,
        *,
        check: Callable[[], None] | None = None,
    ) -> None:
        """`check` is called in the caller's thread while it waits; what it raises ends the run."""
        self._runners = runners
        self._check = check
        self._items = iter(items)
        self._max_buffer_bytes = max_buffer_bytes
        self._window = 2 * len(runners) + 2
        self._ended = False
        self._slots: deque[_Slot[ItemT, ResultT]] = deque()
        self._todo: queue.SimpleQueue[_Slot[ItemT, ResultT] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        # A signal may raise at any moment in the caller's thread. That thread uses only `with` on
        # a lock of C, which no exception can interrupt half-way (Condition is written in Python),
        # and it waits by acquiring `_news`.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        """Runners wait for this."""
        self._news = threading.Lock()
        """The caller waits for this: released when a result or an end arrives."""
        self._held_bytes = 0
        self._stopped = False
        self._signals: deque[Signal] = deque()
        self._rows = [0] * len(runners)
        """Rows that each runner has finished; each item is written by one thread."""
        self._reported_rows = 0

    def results(self) -> Generator[ResultT, None, None]:
        """Yield all results in order; closing the generator stops the runners."""
        # Threads are daemons, so a generator left open cannot block the exit of the interpreter;
        # the hook then ends the worker processes.
        atexit.register(self._close)
        try:
            self._take_items()
            while self._slots:
                head = self._slots[0]
                while self._wait_for(head):
                    self._pass_on_signals()  # the rows of a result before the result
                    yield self._taken_from(head)
                if head.error is not None:
                    raise head.error
                with self._lock:
                    self._slots.popleft()
                    self._room.notify_all()
                self._take_items()
        finally:
            self._close()
            atexit.unregister(self._close)

    # --- in the caller's thread

    def _take_items(self) -> None:
        while not self._ended and len(self._slots) < self._window:
            slot = self._next_slot()
            if slot is None:
                return
            self._slots.append(slot)
            if slot.done:
                return
            self._todo.put(slot)
            if len(self._threads) < len(self._runners):
                self._start_thread(self._runners[len(self._threads)])

    def _next_slot(self) -> _Slot[ItemT, ResultT] | None:
        try:
            return _Slot(next(self._items))
        except StopIteration:
            self._ended = True
            return None
        except Exception as exc:  # noqa: BLE001 (raised again after the items before it)
            self._ended = True
            return _Slot(None, exc)

    def _start_thread(self, runner: Runner[ItemT, ResultT]) -> None:
        name = f"wdsremux-runner-{len(self._threads)}"
        number = len(self._threads)
        thread = threading.Thread(target=self._serve, args=(runner, number), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _wait_for(self, head: _Slot[ItemT, ResultT]) -> bool:
        """Wait until the head has a result; False if there are no more."""
        while True:
            with self._lock:
                if head.results or head.done:
                    return bool(head.results)
            if not self._news.acquire(timeout=_WAKE_S):
                self._pass_on_signals()
                if self._check is not None:
                    self._check()

    def _pass_on_signals(self) -> None:
        while self._signals:
            signal(self._signals.popleft())
        rows = sum(self._rows)
        if rows > self._reported_rows:
            more, self._reported_rows = rows - self._reported_rows, rows
            signal(Worked(more))

    def _taken_from(self, head: _Slot[ItemT, ResultT]) -> ResultT:
        with self._lock:
            result, size_bytes = head.results.popleft()
            self._held_bytes -= size_bytes
            self._room.notify_all()
            return result

    def _close(self) -> None:
        with self._lock:
            early = bool(self._slots)
            self._stopped = True
            self._room.notify_all()
        if early:
            for runner in self._runners:
                runner.stop()
        for _ in self._threads:
            self._todo.put(None)
        deadline_s = time.monotonic() + (_STOP_TIMEOUT_S if early else _JOIN_TIMEOUT_S)
        for thread in self._threads:
            # After an interrupt the thread may not have started; join() then raises.
            with contextlib.suppress(RuntimeError):
                thread.join(max(0.0, deadline_s - time.monotonic()))
            if thread.is_alive():
                # A thread in the middle of an image cannot be stopped.
                _log.info("%s does not end; the run ends without it", thread.name)
        self._slots.clear()

    # --- in the runners' threads

    def _serve(self, runner: Runner[ItemT, ResultT], number: int) -> None:
        def receive(sent: Signal) -> None:
            if isinstance(sent, Worked):
                self._rows[number] += sent.rows
            else:
                self._signals.append(sent)

        try:
            with receiving(receive):
                while (slot := self._todo.get()) is not None:
                    if not self._stopped:
                        self._work_on(slot, runner)
        finally:
            runner.close()

    def _work_on(self, slot: _Slot[ItemT, ResultT], runner: Runner[ItemT, ResultT]) -> None:
        error: BaseException | None = None
        try:
            for result in runner.run(cast("ItemT", slot.item)):
                self._put(slot, result)
                del result  # a batch is large, and the next one may take its time
        except BaseException as exc:  # noqa: BLE001 (raised again in the caller)
            error = exc
        with self._lock:
            slot.item = None
            slot.error = error
            slot.done = True
            self._notify()

    def _put(self, slot: _Slot[ItemT, ResultT], result: ResultT) -> None:
        size_bytes = result.size_bytes
        with self._room:
            while not self._stopped and not self._has_room(slot, size_bytes):
                self._room.wait()
            if self._stopped:
                raise _StoppedError
            slot.results.append((result, size_bytes))
            self._held_bytes += size_bytes
            self._notify()

    def _notify(self) -> None:
        """Wake the caller if it waits; called under the lock."""
        if self._news.locked():
            self._news.release()

    def _has_room(self, slot: _Slot[ItemT, ResultT], size_bytes: int) -> bool:
        if self._held_bytes + size_bytes <= self._max_buffer_bytes:
            return True
        return slot is self._slots[0] and not slot.results
