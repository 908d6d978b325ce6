"""Sends exceptions from worker processes: pickled if possible, else as their message."""

import pickle
import traceback
from dataclasses import dataclass

import cloudpickle


class WorkerTracebackError(Exception):
    """Holds a worker's traceback as a string; the cause of the exception it belongs to."""

    def __str__(self) -> str:
        return f"in a worker process:\n{self.args[0]}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception in transport."""

    pickled: bytes | None
    """The exception; None if it cannot be pickled."""
    summary: str
    """Its type and message."""
    trace: str
    """Its traceback."""


def failure_from_exception(exc: BaseException) -> Failure:
    """Pack an exception; one that would end the run (SystemExit) is sent as its message only."""
    summary = "".join(traceback.format_exception_only(exc)).strip()
    trace = "".join(traceback.format_exception(exc)).rstrip()
    return Failure(_pickled(exc) if isinstance(exc, Exception) else None, summary, trace)


def exception_from_failure(failure: Failure) -> Exception:
    """Unpack the exception, with the worker's traceback as its cause."""
    exc = _unpickled(failure.pickled)
    if exc is None:
        exc = RuntimeError(failure.summary)
    exc.__cause__ = WorkerTracebackError(failure.trace)
    return exc


def _pickled(exc: Exception) -> bytes | None:
    try:
        data: bytes = cloudpickle.dumps(exc, protocol=5)
    except Exception:  # noqa: BLE001 (pickling runs any code)
        return None
    # An exception whose constructor requires more than its args can be pickled but not unpickled.
    return None if _unpickled(data) is None else data


def _unpickled(data: bytes | None) -> Exception | None:
    if data is None:
        return None
    try:
        exc = pickle.loads(data)
    except Exception:  # noqa: BLE001 (unpickling runs any code)
        return None
    return exc if isinstance(exc, Exception) else None
