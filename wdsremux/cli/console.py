"""Writes to stdout and stderr, and decides what happens when that fails.

A reader that goes away, as in `| head`, is not an error; a reader that is gone or full never stops
a conversion.
"""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from wdsremux.core.errors import StoreError
from wdsremux.core.escaping import escaped_lines


def out(text: str) -> None:
    """Print a result; it is dropped when its reader has gone.

    Raises StoreError when stdout cannot be written.
    """
    _write(lambda: print(escaped_lines(text), flush=True))


def out_lines(lines: Iterable[str]) -> None:
    """Print a result line by line, as `out` does; stop making lines when the reader has gone."""
    for line in lines:
        if not _write(functools.partial(print, escaped_lines(line))):
            return
    _write(lambda: print(end="", flush=True))


def out_bytes(data: bytes) -> None:
    """Write a binary result, as `out` does."""
    if _write(lambda: sys.stdout.buffer.write(data)):
        _write(sys.stdout.flush)


def out_report(text: str) -> None:
    """Print the report of a finished job, which is finished whether the report is read or not."""
    try:
        out(text)
    except StoreError as exc:
        err(f"wdsremux: {exc}")


def err(text: str) -> None:
    """Print to stderr; dropped when that is closed."""
    try:
        print(escaped_lines(text), file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def open_closed_streams() -> None:
    """Open the null device as each standard stream that is closed, as by `2>&-` or in a daemon.

    Otherwise the next file that is opened, such as a shard, would get the number of that stream,
    and whatever a library prints would be written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (as long as the process)


def flush() -> None:
    """Leave nothing to be written when Python ends: a failure there replaces the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            print(end="", file=stream, flush=True)
        except OSError:
            _discard(stream)


def _write(write: Callable[[], object]) -> bool:
    """Write to stdout; return whether its reader is still there."""
    try:
        write()
    except BrokenPipeError:
        _discard(sys.stdout)
        return False
    except OSError as exc:
        _discard(sys.stdout)
        raise StoreError(
            f"cannot write to stdout: {exc.strerror or exc}; free some space or redirect the output"
        ) from exc
    return True


def _discard(stream: TextIO) -> None:
    """Send the rest of a stream to the null device."""
    with contextlib.suppress(io.UnsupportedOperation):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
