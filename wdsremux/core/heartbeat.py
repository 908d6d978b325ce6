"""Signs of progress between two results; only worker processes listen to them.

Short because it joins layers that must not import each other: stores, transforms and engines.
"""

from collections.abc import Callable
from contextvars import ContextVar

Report = Callable[[float | None], None]

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
