"""Shows the events of a run: a bar, log lines or JSON lines."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO, cast

from wdsremux.core.escaping import escaped
from wdsremux.core.events import (
    Advanced,
    Begun,
    Done,
    Event,
    Note,
    Observer,
    ShardDone,
    ignore_event,
)
from wdsremux.core.option_values import counted

LOG_EVERY_S = 10.0


class Meter:
    """Sums up what a run has done since it started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self.rows_in_all: int | None = None
        self.rows = 0
        self.rows_before = 0
        self.samples = 0
        self.rejected = 0
        self.shards = 0
        self.output_bytes = 0

    def note(self, event: Event) -> None:
        """Take an event into the sums."""
        if isinstance(event, Begun):
            self._began = self._clock()
            self.rows_in_all = event.rows
            self.rows = self.rows_before = event.done_rows
        elif isinstance(event, Advanced):
            self.rows += event.rows
            self.samples += event.samples
            self.rejected += len(event.rejected)
            self.output_bytes += event.output_bytes
        elif isinstance(event, ShardDone):
            self.shards += 1

    @property
    def seconds(self) -> float:
        """Time since the work began."""
        return max(self._clock() - self._began, 1e-9)

    @property
    def rows_per_s(self) -> float:
        """Rows done in this run, a second."""
        return (self.rows - self.rows_before) / self.seconds

    @property
    def eta_s(self) -> float | None:
        """Seconds to go, where the rows in all are known."""
        rate = self.rows_per_s
        if self.rows_in_all is None or rate <= 0:
            return None
        return max(self.rows_in_all - self.rows, 0) / rate

    def to_json(self) -> dict[str, Any]:
        """Return the sums as a line of `--progress json` has them."""
        return {
            "rows": self.rows,
            "rows_in_all": self.rows_in_all,
            "samples": self.samples,
            "rejected": self.rejected,
            "shards": self.shards,
            "output_bytes": self.output_bytes,
            "images_per_s": round(self.rows_per_s, 1),
            "mb_per_s": round(self.output_bytes / self.seconds / 1e6, 2),
            "eta_s": None if self.eta_s is None else round(self.eta_s, 1),
        }

    def line(self) -> str:
        """Return the sums as a line of `--progress log` has them."""
        of = f" of {self.rows_in_all}" if self.rows_in_all is not None else ""
        eta = f", {duration(self.eta_s)} to go" if self.eta_s else ""
        return (
            f"{self.rows}{of} rows, {images_per_s(self.rows_per_s)}, "
            f"{self.output_bytes / self.seconds / 1e6:.1f} MB/s, {counted(self.shards, 'shard')}, "
            f"{self.rejected} rejected{eta}"
        )


def duration(seconds: float) -> str:
    """Return a time for people: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def images_per_s(rate: float) -> str:
    """Return a rate for people; a slow one is not rounded to zero."""
    return f"{rate:.0f} images/s" if rate >= 10 else f"{rate:.2g} images/s"


def crew(workers: int, engine: str) -> str:
    """Return "1 process" or "2 threads": how many workers of an engine there are."""
    return counted(workers, {"processes": "process", "threads": "thread"}[engine], engine)


def observer(progress: str, stream: TextIO | None = None) -> Observer:
    """Return the observer that --progress names."""
    out = cast("TextIO", BestEffortStream(stream or sys.stderr))
    if progress == "auto":
        progress = "bar" if out.isatty() else "log"
    if progress == "none":
        return ignore_event
    if progress == "bar":
        return _Bar(out)
    return _Json(out) if progress == "json" else _Log(out)


class _Log:
    """A line every 10 s."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._meter = Meter()
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._meter.note(event)
        if isinstance(event, Note):
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
    """A tqdm bar for a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._meter = Meter()
        self._bar: Any = None

    def __call__(self, event: Event) -> None:
        self._meter.note(event)
        if isinstance(event, Note):
            self._write(escaped(event.text))
        elif isinstance(event, Begun):
            self._write(_beginning(event))
            from tqdm import tqdm  # noqa: PLC0415 (only a bar needs it)

            self._bar = tqdm(
                total=event.rows,
                initial=event.done_rows,
                unit="img",
                file=self._out,
                ncols=_columns(self._out),
                dynamic_ncols=True,
                smoothing=0.1,
            )
        elif isinstance(event, Advanced) and self._bar is not None:
            meter = self._meter
            rate = meter.output_bytes / meter.seconds / 1e6
            self._bar.set_postfix_str(
                f"{rate:.1f} MB/s, {counted(meter.shards, 'shard')}, {meter.rejected} rejected",
                refresh=False,
            )
            self._bar.update(event.rows)
        elif isinstance(event, Done) and self._bar is not None:
            self._bar.close()

    def _write(self, text: str) -> None:
        if self._bar is None:
            print(text, file=self._out, flush=True)
        else:
            self._bar.write(text, file=self._out)


def _columns(out: TextIO) -> int | None:
    """Return a width for a terminal that does not report one: tqdm would show nothing."""
    try:
        columns = os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):
        return None
    return None if columns else 80


def _beginning(event: Begun) -> str:
    rows = "rows" if event.rows is None else counted(event.rows, "row")
    resumed = f"; {event.done_rows} already done, resuming" if event.done_rows else ""
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
