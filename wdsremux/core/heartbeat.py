"""A sign of progress that the work may give between two results; only worker processes listen."""

from collections.abc import Callable
from contextvars import ContextVar

Report = Callable[[float | None], None]

_report: ContextVar[Report | None] = ContextVar("wdsremux_heartbeat", default=None)


def heartbeat(within_s: float | None = None) -> None:
    """Tell the engine that the work goes on; cheap enough to be called for every record.

    A worker process that gives neither a result nor a heartbeat for the engine's `result_timeout_s`
    is killed and counts as dead. `within_s` allows the next stretch that many seconds instead, up
    to the next result or heartbeat: a function that works on 256 rows at once is given 256 times
    the time of one.

    Counts in the thread that runs the work (in others only under its `contextvars` context).
    Elsewhere, and with engines that could not end a worker anyway (serial, threads), it does
    nothing.
    """
    report = _report.get()
    if report is not None:
        report(within_s)


def listen(report: Report | None) -> None:
    """Make heartbeats of this thread call `report`; None ends it."""
    _report.set(report)
