"""Every error a user can meet, with its exit code on the command line.

    WdsremuxError
    ├── UsageError           2   an option, a configuration file or an argument is wrong
    ├── SourceError          3   the source cannot be found, opened or read
    ├── TransformError       4   a step or the user's function failed as a whole
    ├── StoreError           5   the output cannot be written
    │   ├── UnreachableStoreError   a later attempt may succeed
    │   └── LockedError             another process is writing it
    ├── CorruptDataError     6   more records were rejected than the run allows
    └── RecipeMismatchError  7   the output has another recipe, or its source changed

`RejectSample` is not an error: a transform raises it to leave one sample out.

A message says what happened, to which row, file or option, and what to do.
"""

import contextlib
from collections.abc import Iterator
from typing import ClassVar

_PATH_CHARS = 160


class WdsremuxError(Exception):
    """Base of every error that the user can fix."""

    exit_code: ClassVar[int] = 70


class UsageError(WdsremuxError):
    """An option, a configuration file or an argument is wrong."""

    exit_code = 2


class SourceError(WdsremuxError):
    """The source cannot be found, opened or read."""

    exit_code = 3


class TransformError(WdsremuxError):
    """A step or the user's function failed in a way that no single record explains."""

    exit_code = 4


class StoreError(WdsremuxError):
    """The output cannot be written."""

    exit_code = 5


class UnreachableStoreError(StoreError):
    """The output cannot be reached at the moment; a later attempt may succeed."""

    def __init__(self, problem: str, *, retry_after_s: float = 0.0) -> None:
        """`retry_after_s` is the pause that the server asks for, 0 if it asks for none."""
        super().__init__(problem)
        self.retry_after_s = retry_after_s


class LockedError(StoreError):
    """Another process is writing the output, or the part of it that was asked for."""


class CorruptDataError(WdsremuxError):
    """More records were rejected than the run allows, or stored data cannot be parsed."""

    exit_code = 6


class RecipeMismatchError(WdsremuxError):
    """The output was made by another recipe, or from a source that has changed since."""

    exit_code = 7


class RejectSample(Exception):  # noqa: N818 (a signal, not an error)
    """Raised by a transform to leave one sample out; its message is recorded as the reason."""


def causes(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes: libraries wrap each other's errors, several deep."""
    for _ in range(10):
        if exc is None:
            return
        yield exc
        exc = exc.__cause__ or exc.__context__


@contextlib.contextmanager
def system_errors_as(kind: type[WdsremuxError], verb: str, path: object) -> Iterator[None]:
    """Turn an error of the system, such as EACCES or ESTALE, into an error of this kind.

    Errors without a number are not of the system: they are not changed.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno is None:
            raise
        where = str(path if exc.filename is None else exc.filename)
        raise kind(f"cannot {verb} {_shortened(where)!r}: {exc.strerror}") from exc
    except RuntimeError as exc:  # pathlib before Python 3.13
        if not str(exc).startswith("Symlink loop"):
            raise
        raise kind(f"cannot {verb} {_shortened(str(path))!r}: a loop of symbolic links") from exc


def _shortened(path: str) -> str:
    """Return a path without its middle where it is longer than a message can show."""
    return path if len(path) <= _PATH_CHARS else f"{path[:40]}...{path[-50:]}"


EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "findings, or something left unrepaired",
    2: "wrong usage or configuration",
    3: "source cannot be read",
    4: "your function or a step failed",
    5: "output cannot be written",
    6: "corrupt data, or too many rejected rows",
    7: "recipe, source or dataset differs from the recorded one",
    70: "a bug in wdsremux",
    130: "stopped by Ctrl-C",
    143: "stopped by SIGTERM",
}
"""The meaning of each exit status of the command line."""
