"""Shows the events of a run: a bar, log lines or JSON lines."""

import contextlib
import io
import json
import os
import sys
import time
from typing import Any, TextIO, cast

from wdsremux.converting.meter import Meter
from wdsremux.core.escaping import escaped
from wdsremux.core.events import (
    Advanced,
    Begun,
    Done,
    Event,
    Note,
    Observer,
    Opened,
    Phase,
    ShardDone,
    ignore_event,
)
from wdsremux.core.option_values import crew

LOG_EVERY_S = 10.0
BAR_FORMAT = "{percentage:3.0f}%|{bar}| {desc}"
NO_TOTAL_FORMAT = "{desc}"


def observer(progress: str, stream: TextIO | None = None) -> Observer:
    """Return the observer that --progress names; end it with `close`."""
    out = cast("TextIO", BestEffortStream(stream or sys.stderr or io.StringIO()))
    if progress == "auto":
        progress = "bar" if out.isatty() else "log"
    if progress == "none":
        return ignore_event
    if progress == "bar":
        return _Bar(out)
    return _Json(out) if progress == "json" else _Log(out)


def close(shown: Observer) -> None:
    """End what an observer shows, so that the next output begins on a line of its own."""
    if isinstance(shown, _Bar):
        shown.close()


class _Log:
    """A line every 10 s."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._meter = Meter()
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._meter.note(event)
        if isinstance(event, Note | Opened):
            self._say(escaped(event.text))
        elif isinstance(event, Begun):
            self._say(_beginning(event))
        elif isinstance(event, Advanced) and time.monotonic() - self._last >= LOG_EVERY_S:
            self._last = time.monotonic()
            self._say(self._meter.line())

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class _Json:
    """One JSON object a line, for programs."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._meter = Meter()
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        self._meter.note(event)
        if isinstance(event, Note):
            self._say("note", {"text": event.text})
        elif isinstance(event, ShardDone):
            self._say("shard", {"name": event.shard.name, "bytes": event.shard.size_bytes})
        elif isinstance(event, Done):
            self._say("done", self._meter.to_json() | {"seconds": round(self._meter.seconds, 3)})
        elif isinstance(event, Advanced) and time.monotonic() - self._last >= 1.0:
            self._last = time.monotonic()
            self._say("progress", self._meter.to_json())

    def _say(self, kind: str, values: dict[str, Any]) -> None:
        print(json.dumps({"event": kind, **values}), file=self._out, flush=True)


class _Bar:
    """A bar on a terminal, and a line with the phase before there is one."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._meter = Meter()
        self._bar: Any = None
        self._phase_width = 0

    def __call__(self, event: Event) -> None:
        self._meter.note(event)
        if isinstance(event, Note | Opened):
            self._write(escaped(event.text))
        elif isinstance(event, Phase):
            self._show_phase(escaped(event.text))
        elif isinstance(event, Begun):
            self._write(_beginning(event))
            self._begin(event)
        elif isinstance(event, Advanced) and self._bar is not None:
            self._bar.set_description_str(self._meter.line(), refresh=False)
            self._bar.update(event.rows)
        elif isinstance(event, Done):
            self.close(self._meter.line())

    def _begin(self, event: Begun) -> None:
        from tqdm import tqdm  # noqa: PLC0415 (only a bar needs it)

        self.close()
        workers = f" {crew(event.workers, event.engine)}" if event.workers else ""
        columns = _columns(self._out)
        self._bar = tqdm(
            desc=f"starting{workers}",
            total=event.rows,
            initial=event.done_rows,
            file=self._out,
            ncols=columns,
            dynamic_ncols=columns is None,
            bar_format=NO_TOTAL_FORMAT if event.rows is None else BAR_FORMAT,
            colour=None if os.environ.get("NO_COLOR") else "green",
        )

    def _show_phase(self, text: str) -> None:
        if self._bar is not None:
            self._bar.set_description_str(text)
            return
        self._clear()
        shown = f"{text} ..."
        self._phase_width = len(shown)
        print(shown, end="", file=self._out, flush=True)

    def _clear(self) -> None:
        """Remove the line of a phase."""
        if self._phase_width:
            print(f"\r{' ' * self._phase_width}\r", end="", file=self._out, flush=True)
            self._phase_width = 0

    def _write(self, text: str) -> None:
        self._clear()
        if self._bar is None:
            print(text, file=self._out, flush=True)
        else:
            self._bar.write(text, file=self._out)

    def close(self, text: str | None = None) -> None:
        """Leave the bar as it is, with a last message, and go to the next line."""
        self._clear()
        if self._bar is not None:
            if text is not None:
                self._bar.set_description_str(text, refresh=False)
            self._bar.close()
            self._bar = None


def _columns(out: TextIO) -> int | None:
    """Return a width for a terminal that does not report one: tqdm would show nothing."""
    try:
        columns = os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):
        return None
    return None if columns else 80


def _beginning(event: Begun) -> str:
    rows = "rows" if event.rows is None else f"{event.rows:,} row{'s' if event.rows != 1 else ''}"
    resumed = f"; {event.done_rows:,} already done, resuming" if event.done_rows else ""
    where = f"with {crew(event.workers, event.engine)}" if event.workers else "in this process"
    return f"converting {rows} {where}{resumed}"


class BestEffortStream:
    """A stream for progress: what cannot be written is dropped."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write, if possible."""
        with contextlib.suppress(OSError):
            self._out.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, likewise."""
        with contextlib.suppress(OSError):
            self._out.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)
