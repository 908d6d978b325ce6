"""What the command line says, on stdout and on stderr, and what becomes of it if nobody takes it.

A reader that goes away, as in `| head`, is no error; and no reader, gone or full, stops a job.
"""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from wdsremux.core.errors import TargetError
from wdsremux.core.escaping import escaped_lines


def say(text: str) -> None:
    """Print a result; it is dropped when its reader has gone.

    Raises TargetError when stdout cannot be written.
    """
    _is_given(lambda: print(escaped_lines(text), flush=True))


def say_all(lines: Iterable[str]) -> None:
    """Print a result line by line, as `say` does; no more are made when the reader has gone."""
    for line in lines:
        if not _is_given(functools.partial(print, escaped_lines(line))):
            return
    _is_given(lambda: print(end="", flush=True))


def say_bytes(data: bytes) -> None:
    """Write a result that is no text, as `say` does."""
    if _is_given(lambda: sys.stdout.buffer.write(data)):
        _is_given(sys.stdout.flush)


def say_report(text: str) -> None:
    """Print what there is to tell of a finished job: it is finished whether that is read or not."""
    try:
        say(text)
    except TargetError as exc:
        complain(f"wdsremux: {exc}")


def complain(text: str) -> None:
    """Print to stderr, if anybody listens there."""
    try:
        print(escaped_lines(text), file=sys.stderr, flush=True)
    except OSError:
        _turn_away(sys.stderr)


def settle() -> None:
    """Leave nothing to be written when Python ends: where that fails, its exit code is lost."""
    for stream in (sys.stdout, sys.stderr):
        try:
            print(end="", file=stream, flush=True)
        except OSError:
            _turn_away(stream)


def _is_given(write: Callable[[], object]) -> bool:
    """Write to stdout; return whether its reader is still there."""
    try:
        write()
    except BrokenPipeError:
        _turn_away(sys.stdout)
        return False
    except OSError as exc:
        _turn_away(sys.stdout)
        raise TargetError(
            f"cannot write to stdout: {exc.strerror or exc}; free some space, or send it elsewhere"
        ) from exc
    return True


def _turn_away(stream: TextIO) -> None:
    """Let what is left for a stream, and what comes, go nowhere."""
    with contextlib.suppress(io.UnsupportedOperation):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
