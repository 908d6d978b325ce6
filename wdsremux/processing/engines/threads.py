"""The engine of threads: starts at once, shares memory, parallel where the lock is released.

A thread cannot be stopped from outside, so a record that takes too long ends the run: from the
command line a supervisor sees it and starts the run again with processes, which reject the record.
"""

import time
from collections.abc import Generator, Iterable, Iterator

from wdsremux.core.deadlines import Deadlines, watched_deadlines
from wdsremux.core.errors import TransformError
from wdsremux.core.heartbeat import listen_to_rows
from wdsremux.processing.engines.base import ItemT, MakeWork, Recover, ResultT, Work
from wdsremux.processing.engines.ordered import DEFAULT_BUFFER_BYTES, OrderedMap, Runner


class ThreadEngine:
    """Runs items in threads of this process.

    The work is built once in each thread. Work that never returns is abandoned when the map is
    closed, and a crash of a native library ends the process. Use ProcessEngine for functions of
    users.
    """

    def __init__(
        self,
        workers: int,
        *,
        max_buffer_bytes: int = DEFAULT_BUFFER_BYTES,
        row_timeout_s: float | None = None,
    ) -> None:
        """`row_timeout_s` is the time limit of a row that the work marks with `at_row`."""
        if workers < 1:
            raise ValueError(f"a thread engine needs at least 1 worker, got {workers}")
        self._workers = workers
        self._max_buffer_bytes = max_buffer_bytes
        self._row_timeout_s = row_timeout_s

    def map(
        self,
        make_work: MakeWork[ItemT, ResultT],
        items: Iterable[ItemT],
        recover: Recover[ItemT, ResultT] | None = None,  # noqa: ARG002 (part of the contract)
    ) -> Generator[ResultT, None, None]:
        """Yield the results of all items, in order.

        Raises TransformError for a row that exceeds its time limit, where no supervisor does more.
        """
        watched = watched_deadlines()
        deadlines = watched or Deadlines()
        runners = [
            _ThreadRunner(make_work, deadlines, number, self._row_timeout_s)
            for number in range(self._workers)
        ]

        def check() -> None:
            late = deadlines.overdue(time.monotonic())
            if late is not None:
                raise _overdue(runners[late[0]].row, late[1])

        watch = None if watched is not None or self._row_timeout_s is None else check
        return OrderedMap(runners, items, self._max_buffer_bytes, check=watch).results()


class _ThreadRunner(Runner[ItemT, ResultT]):
    """Runs items in its own thread."""

    def __init__(
        self,
        make_work: MakeWork[ItemT, ResultT],
        deadlines: Deadlines,
        number: int,
        row_timeout_s: float | None,
    ) -> None:
        self._make_work = make_work
        self._work: Work[ItemT, ResultT] | None = None
        self._deadlines = deadlines
        self._number = number
        self._row_timeout_s = row_timeout_s
        self.row: int | None = None
        """The row that is worked on."""

    def run(self, item: ItemT) -> Iterator[ResultT]:
        """Yield the results of the item; builds the work first if needed."""
        if self._work is None:
            self._work = self._make_work()
            listen_to_rows(self._mark)
        try:
            yield from self._work(item)
        finally:
            self._mark(None)

    def _mark(self, row: int | None) -> None:
        self.row = row
        if row is None or self._row_timeout_s is None:
            self._deadlines.clear(self._number)
        else:
            until_s = time.monotonic() + self._row_timeout_s
            self._deadlines.set(self._number, until_s, self._row_timeout_s)


def _overdue(row: int | None, limit_s: float) -> TransformError:
    return TransformError(
        f"row {row} exceeds --record-timeout ({limit_s:g} s), and a thread cannot be ended alone; "
        "run with --engine processes, which rejects the row, or raise --record-timeout"
    )
