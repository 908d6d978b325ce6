"""Shows what a command does: the observers that `--progress` names.

Every command that may work for more than a few seconds uses one of them. Short because the views
are modules of their own.
"""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any, Protocol, TextIO, cast

from wdsremux.converting.bar import Bar
from wdsremux.converting.views import AnyEvent, BestEffortStream, JsonLines, LogLines, View
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


@contextlib.contextmanager
def working(text: str, progress: str = "auto") -> Iterator[Shown]:
    """Show a phase, and further events, while the block runs."""
    shown = observer(progress)
    try:
        shown(Phase(text))
        with receiving(shown):
            yield shown
    finally:
        close(shown)
