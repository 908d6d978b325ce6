"""The contract of an engine: one ordered map with a bounded window.

Tasks go in as items; what the work makes of them comes back in order, whoever made it.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
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
    """A worker process ended in the middle of an item.

    The text says how: "killed by SIGSEGV", "exited with status 3" or "no progress for 120 s".
    """


class WorkerOverdueError(WorkerDiedError):
    """A worker process was killed because it gave no sign of progress in time."""


Recover = Callable[
    [ItemT, ResultT | None, WorkerDiedError, Work[ItemT, ResultT]], Iterator[ResultT]
]
"""`recover(item, last, death, attempt)` yields the results that the item still owes.

`last` is the item's last result that was delivered before the death, None when there was none.
`attempt(item)` runs an item in a fresh worker and raises WorkerDiedError if that one dies too; a
worker that finishes an attempt serves the next one. Called in a thread of the engine, at the same
time as other recoveries.
"""


class Engine(Protocol):
    """Runs work on items in parallel.

    What must hold: results come out in the order of the items and, within one item, in the order
    the work yields them; items are taken from the iterable lazily, in the caller's thread, at most
    a small window ahead; finished results that wait for their turn are bounded in bytes; an
    exception of the work, or of the iterable, is raised in the caller at the place of its item;
    closing the generator stops all workers within seconds and leaves no process behind; nothing is
    started before the first result is asked for.
    """

    def map(
        self,
        make_work: MakeWork[ItemT, ResultT],
        items: Iterable[ItemT],
        recover: Recover[ItemT, ResultT] | None = None,
    ) -> Generator[ResultT, None, None]:
        """Yield the results of all items, in order.

        The caller closes the generator when it stops early (`contextlib.closing`). `recover` serves
        engines whose workers can die alone; without it a death is raised as WorkerDiedError.
        """
