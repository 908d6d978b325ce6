"""The contract of an engine: one ordered map with a bounded window.

Items go in, results come out in the order of the items, whatever worker made them.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol, TypeVar


class Sized(Protocol):
    """A result that knows how many bytes it holds."""

    @property
    def size_bytes(self) -> int:
        """Size of the result in memory."""


ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT", bound=Sized)

Work = Callable[[ItemT], Iterator[ResultT]]
"""Turns one item into its results, in order."""

MakeWork = Callable[[], Work[ItemT, ResultT]]
"""Builds the work inside the worker, once; cloudpickle sends it to worker processes."""


class WorkerDiedError(Exception):
    """A worker process ended in the middle of an item.

    The message says how: "killed by SIGSEGV", "exited with status 3" or "no progress for 120 s".
    """

    def __init__(self, how: str, *, row: int | None = None, is_killed: bool = False) -> None:
        """`row` was worked on alone; `is_killed` says that the system killed the worker."""
        super().__init__(how)
        self.row = row
        self.is_killed = is_killed


class WorkerOverdueError(WorkerDiedError):
    """A worker process was killed because it did not report progress in time."""


Recover = Callable[
    [ItemT, ResultT | None, WorkerDiedError, Work[ItemT, ResultT]], Iterator[ResultT]
]
"""`recover(item, last, death, attempt)` yields the missing results of the item.

`last` is the item's last result before the death, None if there is none. `attempt(item)` runs an
item in a fresh worker and raises WorkerDiedError if that one dies too; a worker that finishes an
attempt is used for the next one. Called in a thread of the engine, in parallel with others.
"""


class Engine(Protocol):
    """Runs work on items in parallel.

    The contract: results come in the order of the items and, within one item, in the order of the
    work; items are taken from the iterable lazily, in the caller's thread, at most a small window
    ahead; finished results that wait for their turn are bounded in bytes; an exception of the work,
    or of the iterable, is raised in the caller in place of its item's results; closing the
    generator stops all workers within seconds and leaves no process behind; nothing starts before
    the first result is requested.
    """

    def map(
        self,
        make_work: MakeWork[ItemT, ResultT],
        items: Iterable[ItemT],
        recover: Recover[ItemT, ResultT] | None = None,
    ) -> Generator[ResultT, None, None]:
        """Yield the results of all items, in order.

        The caller closes the generator if it stops early (`contextlib.closing`). Engines whose
        workers can die use `recover`; without it a death is raised as WorkerDiedError.
        """
