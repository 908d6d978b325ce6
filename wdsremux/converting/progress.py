"""Shows what a command does: the observers that `--progress` names.

Every command that may work for more than a few seconds uses one of them.
"""

import contextlib
import io
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, Self, TextIO, cast

from wdsremux.converting.bar import Bar
from wdsremux.converting.views import (
    SHOWN_AFTER_S,
    AnyEvent,
    BestEffortStream,
    JsonLines,
    LogLines,
    View,
)
from wdsremux.core.events import ignore_event
from wdsremux.core.heartbeat import Phase, receiving


class Shown(Protocol):
    """An observer of every kind of event."""

    def __call__(self, event: AnyEvent, /) -> None:
        """Show an event."""


def observer(progress: str, stream: TextIO | None = None) -> Shown:
    """Return the observer that --progress names; end it with `close`.

    Without a `stream`, it writes to stderr, also between events while nothing happens.
    """
    out = cast("TextIO", BestEffortStream(stream or sys.stderr or io.StringIO()))
    if progress == "auto":
        progress = "bar" if out.isatty() else "log"
    if progress == "none":
        return ignore_event
    if progress == "bar":
        shown: View = Bar(out, is_stderr=stream is None)
    else:
        shown = JsonLines(out) if progress == "json" else LogLines(out)
    if stream is None:
        shown.tick_by_itself()
    return shown


def close(shown: Any) -> None:
    """End what an observer shows, so that the next output begins on a line of its own."""
    if isinstance(shown, View):
        shown.close()


class LatePhase:
    """Shows a phase once the block has lasted for 2 s, or until `end` is called in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lock = threading.Lock()
        self._is_over = False
        self._shown: Shown | None = None
        self._timer = threading.Timer(SHOWN_AFTER_S, self._show)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.end()

    def end(self) -> None:
        """Show no more: a result is printed. Harmless when called twice."""
        if self._is_over:
            return
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            if self._shown is not None:
                close(self._shown)

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield lines; the first one ends the phase."""
        for line in lines:
            self.end()
            yield line

    def _show(self) -> None:
        with self._lock:
            if not self._is_over:
                self._shown = observer("auto")
                self._shown(Phase(self._text))


@contextlib.contextmanager
def working(text: str, progress: str = "auto", *, runs_function: bool = False) -> Iterator[Shown]:
    """Show a phase, and further events, while the block runs."""
    shown = observer(progress)
    try:
        shown(Phase(text, runs_function))
        with receiving(shown):
            yield shown
    finally:
        close(shown)
