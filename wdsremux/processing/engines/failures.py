"""Sends exceptions from worker processes: pickled if possible, else as their message."""

import pickle
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import cloudpickle

from wdsremux.core.errors import causes
from wdsremux.transforms.function.errors import own_frames


class WorkerTracebackError(Exception):
    """Holds a worker's traceback as a string; the cause of the exception it belongs to."""

    def __init__(self, trace: str, frames: Sequence[tuple[str, int, str]], summary: str) -> None:
        """`frames` are (file, line, name) of the user's code, `summary` what it raised."""
        super().__init__(trace)
        self.frames = frames
        self.summary = summary

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
    frames: tuple[tuple[str, int, str], ...] = ()
    """(file, line, name) of the user's code that it comes from."""
    origin: str = ""
    """Type and message of what that code raised."""


def failure_from_exception(exc: BaseException) -> Failure:
    """Pack an exception; one that would end the run (SystemExit) is sent as its message only."""
    summary = _summary(exc)
    trace = "".join(traceback.format_exception(exc)).rstrip()
    pickled = _pickled(exc) if isinstance(exc, Exception) else None
    for cause in causes(exc):
        if frames := own_frames(cause):
            return Failure(pickled, summary, trace, tuple(frames), _summary(cause))
    return Failure(pickled, summary, trace)


def exception_from_failure(failure: Failure) -> Exception:
    """Unpack the exception, with the worker's traceback as its cause."""
    exc = _unpickled(failure.pickled)
    if exc is None:
        exc = RuntimeError(failure.summary)
    exc.__cause__ = WorkerTracebackError(failure.trace, failure.frames, failure.origin)
    return exc


def _summary(exc: BaseException) -> str:
    return "".join(traceback.format_exception_only(exc)).strip()


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
