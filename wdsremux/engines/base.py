"""The contract of an engine: one ordered map with a bounded window."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar


class Sized(Protocol):
    """A result that knows how many bytes it holds."""

    @property
    def size_bytes(self) -> int:
        """Bytes held."""


ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT", bound=Sized)

Work = Callable[[ItemT], Iterator[ResultT]]
"""Turns one item into its results, in order."""

MakeWork = Callable[[], Work[ItemT, ResultT]]
"""Builds the work inside the worker, once; it travels to worker processes by cloudpickle."""


class WorkerDiedError(Exception):
    """A worker process ended in the middle of an item. The text names the signal or the exit status."""


Recover = Callable[[ItemT, int, WorkerDiedError, Work[ItemT, ResultT]], Iterator[ResultT]]
"""`recover(item, results_seen, death, attempt)` yields the results of the item that are still missing.

`attempt(item)` runs an item in a fresh worker and raises WorkerDiedError if that one dies too.
"""


class Engine(Protocol):
    """Runs work on items in parallel.

    What must hold: results come out in the order of the items and, within one item, in the order the work yields
    them; items are taken from the iterable lazily, in the caller's thread, at most a small window ahead; finished
    results that wait for their turn are bounded in bytes; an exception of the work is raised in the caller at the
    place of its item; closing the iterator stops all workers within seconds and leaves no process behind.
    """

    def map(
        self,
        make_work: MakeWork[ItemT, ResultT],
        items: Iterable[ItemT],
        recover: Recover[ItemT, ResultT] | None = None,
    ) -> Iterator[ResultT]:
        """Yield the results of all items, in order."""
