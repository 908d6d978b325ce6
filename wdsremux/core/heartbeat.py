"""Signs of progress between two results: heartbeats of a worker process, and signals to the run.

It joins layers that must not import each other: stores, transforms and engines. Signals go from the
code of a worker to the run, whatever engine is between them.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

Report = Callable[[float | None], None]


@dataclass(frozen=True, slots=True)
class Worked:
    """Workers have finished rows; `Advanced` follows when their batch is written."""

    rows: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A server does not answer, and is tried again."""

    what: str
    """The file, dataset or URL that is read or written."""
    reason: str
    """What happened to `what`, and how long it is tried again."""
    gone_s: float
    """Seconds since it answered."""
    limit_s: float
    """Seconds after which the run gives up; 0 if they are not known."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Something that may take seconds begins or continues, such as listing a source."""

    text: str
    runs_function: bool = False
    """Whether the user's function is imported or called, which may print."""


Signal = Worked | Waiting | Phase

_receive: ContextVar[Callable[[Signal], None] | None] = ContextVar("wdsremux_signal", default=None)

Mark = Callable[[int | None], None]

_mark: ContextVar[Mark | None] = ContextVar("wdsremux_row", default=None)
_report: ContextVar[Report | None] = ContextVar("wdsremux_heartbeat", default=None)


def heartbeat(within_s: float | None = None) -> None:
    """Report progress to the engine; cheap enough to be called for every record.

    A worker process that sends neither a result nor a heartbeat for `result_timeout_s` is killed
    and counts as dead. `within_s` is the time limit until the next result or heartbeat: a function
    that works on 256 rows at once gets 256 times the limit of one row.

    Works in the thread that runs the work (in others only under its `contextvars` context). It does
    nothing elsewhere, and in engines that cannot end a worker (serial, threads).
    """
    report = _report.get()
    if report is not None:
        report(within_s)


def listen(report: Report | None) -> None:
    """Make heartbeats of this thread call `report`; None stops it."""
    _report.set(report)


def signal(sent: Signal) -> bool:
    """Pass a signal to the run; return whether there is one that receives it."""
    receive = _receive.get()
    if receive is None:
        return False
    receive(sent)
    return True


@contextlib.contextmanager
def receiving(receive: Callable[[Signal], None]) -> Iterator[None]:
    """Make signals of this thread call `receive` while the block runs."""
    token = _receive.set(receive)
    try:
        yield
    finally:
        _receive.reset(token)


def at_row(row: int | None) -> None:
    """Say which row is worked on alone, so that it is known if the worker dies.

    None says that rows are read, or that several are worked on at once. Costs less than 1 µs.
    """
    mark = _mark.get()
    if mark is not None:
        mark(row)


def listen_to_rows(mark: Mark | None) -> None:
    """Make `at_row` of this thread call `mark`; None stops it."""
    _mark.set(mark)
