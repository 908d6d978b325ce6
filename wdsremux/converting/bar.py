"""The bar on a terminal and in a notebook, drawn by tqdm; a line with the phase before it."""

import os
import time
from typing import Any, TextIO, cast

from wdsremux.converting.meter import Meter, beginning
from wdsremux.converting.printed_output import PrintedOutput
from wdsremux.converting.views import AnyEvent, BestEffortStream, View
from wdsremux.core.escaping import escaped
from wdsremux.core.events import Begun, CheckBegun, Done, Note, Opened, SyncBegun
from wdsremux.core.heartbeat import Phase
from wdsremux.core.option_values import crew

BAR_FORMAT = "{percentage:3.0f}%|{bar}| {desc}"
NO_TOTAL_FORMAT = "{desc}"
DRAW_EVERY_S = 0.1
_LOCK_TIMEOUT_S = 1.0


class Bar(View):
    """A bar that moves with what is done; everything else is printed above it."""

    def __init__(self, out: TextIO, *, is_stderr: bool = False) -> None:
        """`is_stderr` says that `out` is that of the process, where functions may print, too."""
        super().__init__(out)
        self._is_stderr = is_stderr
        self._bar: Any = None
        self._has_total = False
        self._drawn_s = 0.0
        self._printed: PrintedOutput | None = None
        self._terminal: TextIO | None = None

    def show(self, event: AnyEvent) -> None:
        """Draw the bar; print what is worth a line of its own above it."""
        if isinstance(event, Note | Opened):
            self.say(escaped(event.text))
        elif isinstance(event, Begun | CheckBegun | SyncBegun):
            if isinstance(event, Begun):
                self.say(beginning(event))
            self._begin(event)
        elif isinstance(event, Phase) and event.runs_function:
            self._take_prints()
            self._draw()
        elif isinstance(event, Done):
            self._end_bar(self._meter.line())
        else:
            self._draw()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is None:
            print(text, file=self._out, flush=True)
        else:
            self._bar.write(text, file=self._out)

    def tick(self) -> None:
        """Draw again: the time has changed."""
        self._draw(is_forced=True)

    def _begin(self, event: Begun | CheckBegun | SyncBegun) -> None:
        self._end_bar()
        if isinstance(event, Begun):
            if event.engine == "processes" or not event.workers:
                self._take_prints()
            if event.workers:
                what = f" and importing {event.function}" if event.function else ""
                self._phase = f"starting {crew(event.workers, event.engine)}{what}"
        self._make(self._meter.total, leaves=isinstance(event, Begun))

    def _take_prints(self) -> None:
        """From now on, show above the bar what others print to the terminal."""
        if self._printed is None and self._is_stderr and os.isatty(2):
            self._end_bar()  # the next one writes to the terminal itself
            self._printed = PrintedOutput(self._say_printed)
            self._terminal = self._printed.terminal()
            self._out = cast("TextIO", BestEffortStream(self._terminal))

    def _say_printed(self, text: str) -> None:
        with self._lock:
            self.say(text)

    def _make(self, total: int | None, *, leaves: bool) -> None:
        from tqdm.auto import tqdm  # noqa: PLC0415 (a widget in a notebook; slow to import)

        columns = _columns(self._out)
        self._has_total = total is not None
        has_colour = self._out.isatty() and not os.environ.get("NO_COLOR")
        self._bar = tqdm(
            desc=self.status(),
            total=total,
            initial=self._meter.done,
            file=self._out,
            ncols=columns,
            dynamic_ncols=columns is None,
            bar_format=NO_TOTAL_FORMAT if total is None else BAR_FORMAT,
            colour="green" if has_colour else None,
            leave=leaves,
        )

    def _draw(self, *, is_forced: bool = False) -> None:
        if self._bar is None:
            if not self._phase:
                return
            self._make(None, leaves=False)  # the line of a phase
        self._bar.set_description_str(self.status(), refresh=False)
        if self._has_total:
            self._bar.n = self._meter.done
        now = time.monotonic()
        is_complete = self._has_total and self._bar.n == self._bar.total
        if is_forced or is_complete or self._phase or now - self._drawn_s >= DRAW_EVERY_S:
            self._drawn_s = now
            self._bar.refresh()

    def _end_bar(self, text: str | None = None) -> None:
        """Leave the bar as it is, with a last message, and go to the next line."""
        if self._bar is None:
            return
        if text is not None:
            self._bar.set_description_str(text, refresh=False)
            if self._has_total:
                self._bar.n = self._meter.done
            self._bar.refresh()  # a widget does not draw when it is closed
        self._bar.close()
        self._bar = None

    def close(self) -> None:
        """Leave the terminal as it was found, with the cursor on a line of its own."""
        super().close()
        # A thread that was interrupted in the middle may hold the lock.
        has_lock = self._lock.acquire(timeout=_LOCK_TIMEOUT_S)
        try:
            if self._bar is not None and isinstance(self._meter, Meter) and self._has_begun:
                self._bar.set_description_str(self._meter.line(), refresh=False)
        finally:
            if has_lock:
                self._lock.release()
        if self._printed is not None:
            self._printed.close()
            self._printed = None
        self._end_bar()
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None


def _columns(out: TextIO) -> int | None:
    """Return a width for a terminal that does not report one: tqdm would show nothing."""
    try:
        columns = os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):
        return None
    return None if columns else 80
