"""The engine of threads: starts at once, shares memory, parallel where the lock is released.

Short because each engine is a file of its own, and `ordered` does what engines share.
"""

from collections.abc import Generator, Iterable, Iterator

from wdsremux.processing.engines.base import ItemT, MakeWork, Recover, ResultT, Work
from wdsremux.processing.engines.ordered import DEFAULT_BUFFER_BYTES, OrderedMap, Runner


class ThreadEngine:
    """Runs items in threads of this process.

    The work is built once in each thread. A thread cannot be stopped from outside: work that never
    returns is abandoned when the map is closed, and a crash of a native library ends the process.
    Use ProcessEngine for functions of users.
    """

    def __init__(self, workers: int, *, max_buffer_bytes: int = DEFAULT_BUFFER_BYTES) -> None:
        if workers < 1:
            raise ValueError(f"a thread engine needs at least 1 worker, got {workers}")
        self._workers = workers
        self._max_buffer_bytes = max_buffer_bytes

    def map(
        self,
        make_work: MakeWork[ItemT, ResultT],
        items: Iterable[ItemT],
        recover: Recover[ItemT, ResultT] | None = None,  # noqa: ARG002 (part of the contract)
    ) -> Generator[ResultT, None, None]:
        """Yield the results of all items, in order."""
        runners = [_ThreadRunner(make_work) for _ in range(self._workers)]
        return OrderedMap(runners, items, self._max_buffer_bytes).results()


class _ThreadRunner(Runner[ItemT, ResultT]):
    """Runs items in its own thread."""

    def __init__(self, make_work: MakeWork[ItemT, ResultT]) -> None:
        self._make_work = make_work
        self._work: Work[ItemT, ResultT] | None = None

    def run(self, item: ItemT) -> Iterator[ResultT]:
        """Yield the results of the item; builds the work first if needed."""
        if self._work is None:
            self._work = self._make_work()
        return self._work(item)
