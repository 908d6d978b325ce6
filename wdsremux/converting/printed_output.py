"""Takes what others print to the terminal while a bar is shown: it goes above the bar.

Worker processes, libraries in C and programs that a function starts write to the descriptors of
stdout and stderr. While this is on, these are the end of a pipe, which a thread reads line by line.
"""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import TextIO

_PAUSE_S = 0.1
"""After this time without more, half a line is shown as well, as that of a prompt."""
_JOIN_S = 2.0
_BLOCK_BYTES = 1 << 16


class PrintedOutput:
    """Passes the lines that are printed to the terminal to `write`, until it is closed."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._inbox, outbox = os.pipe()
        _flush()
        self._saved = {fd: os.dup(fd) for fd in (1, 2) if os.isatty(fd)}
        for fd in self._saved:
            os.dup2(outbox, fd)
        os.close(outbox)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._pass_on, name="wdsremux-prints", daemon=True)
        self._thread.start()

    def terminal(self) -> TextIO:
        """Return a stream to the terminal itself; the caller closes it."""
        return os.fdopen(os.dup(self._saved[2]), "w", encoding="utf-8", errors="replace")

    def close(self) -> None:
        """Restore stdout and stderr after everything that was printed was passed on."""
        _flush()
        for fd, saved in self._saved.items():
            os.dup2(saved, fd)
        self._is_over.set()
        self._thread.join(_JOIN_S)
        for saved in self._saved.values():
            os.close(saved)
        self._saved = {}
        if not self._thread.is_alive():
            os.close(self._inbox)

    def _pass_on(self) -> None:
        rest = b""
        while True:
            if select.select([self._inbox], [], [], _PAUSE_S)[0]:
                block = os.read(self._inbox, _BLOCK_BYTES)
                *lines, rest = (rest + block).split(b"\n")
            else:
                lines, rest, block = [rest] if rest else [], b"", b"?"
                if not lines and self._is_over.is_set():
                    return
            if lines:
                self._write("\n".join(map(_line, lines)))
            if not block:  # no process has the other end any more
                return


def _line(data: bytes) -> str:
    """Return a line as a terminal shows it: what follows a carriage return replaces it."""
    return data.decode(errors="replace").removesuffix("\r").rpartition("\r")[2]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
