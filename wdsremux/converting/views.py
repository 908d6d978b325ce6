"""What all views of progress share, and those for pipes: log lines and JSON lines."""

import contextlib
import json
import logging
import threading
import time
from typing import Any, Protocol, TextIO

from wdsremux.converting.byte_meter import ByteMeter
from wdsremux.converting.meter import Meter, beginning
from wdsremux.core.escaping import escaped
from wdsremux.core.events import (
    Advanced,
    Begun,
    CheckAdvanced,
    CheckBegun,
    CheckEvent,
    Done,
    Event,
    Note,
    Opened,
    ShardDone,
    SyncAdvanced,
    SyncBegun,
    SyncEvent,
)
from wdsremux.core.heartbeat import Phase, Waiting, Worked
from wdsremux.core.option_values import duration

LOG_EVERY_S = 10.0
SHOWN_AFTER_S = 2.0
"""A log shows a phase that lasts this long."""
TICK_S = 0.5

AnyEvent = Event | CheckEvent | SyncEvent


class AnyMeter(Protocol):
    """Sums up events of rows or of bytes."""

    def note(self, event: Any) -> None:
        """Add an event to the sums."""

    @property
    def done(self) -> int:
        """What is done, in the unit of the bar."""

    @property
    def total(self) -> int | None:
        """The whole, where it is known."""

    def line(self) -> str:
        """Return the sums for people."""

    def to_json(self) -> dict[str, Any]:
        """Return the sums for programs."""


class View:
    """What all kinds of progress have in common: the sums, the phase, the time, the lock."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._meter: AnyMeter = Meter()
        self._has_begun = False
        self._phase = ""
        self._phase_since = time.monotonic()
        self._waiting: tuple[Waiting, float] | None = None
        self._lock = threading.RLock()
        self._is_over = threading.Event()
        self._handler: logging.Handler | None = None

    def __call__(self, event: AnyEvent) -> None:
        """Show an event."""
        with self._lock:
            self._note(event)
            self.show(event)

    def _note(self, event: AnyEvent) -> None:
        if isinstance(event, Begun | CheckBegun | SyncBegun):
            self._meter = Meter() if isinstance(event, Begun) else ByteMeter()
            self._has_begun = True
        if isinstance(event, Phase):
            self._phase, self._phase_since = escaped(event.text), time.monotonic()
        elif isinstance(event, Begun | CheckBegun | SyncBegun | Worked | Advanced):
            self._phase = ""
        if isinstance(event, Waiting):
            is_new = self._waiting is None or self._waiting[0].what != event.what
            self._waiting = (event, time.monotonic())
            if is_new:
                self.say(escaped(event.reason))
        elif isinstance(event, Worked | Advanced | CheckAdvanced | SyncAdvanced):
            self._waiting = None
        self._meter.note(event)

    def show(self, event: AnyEvent) -> None:
        """Show an event that is in the sums already; called under the lock."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._out, flush=True)

    def tick(self) -> None:
        """Show that time passes; called under the lock."""

    def status(self) -> str:
        """Return what is being done, as one line."""
        now = time.monotonic()
        if self._waiting is not None:
            waiting, since = self._waiting
            gone = duration(waiting.gone_s + now - since)
            limit = duration(waiting.limit_s).removesuffix(" 0 s")
            of = f" of {limit}" if waiting.limit_s else ""
            return escaped(f"{waiting.what} unreachable, retrying, {gone}{of}")
        if self._phase:
            gone_s = now - self._phase_since
            return f"{self._phase}, {duration(gone_s)}" if gone_s >= SHOWN_AFTER_S else self._phase
        return self._meter.line() if self._has_begun else ""

    def tick_by_itself(self) -> None:
        """Until `close`, tick in a thread, and show warnings unless the program handles them."""
        threading.Thread(target=self._tick, name="wdsremux-progress", daemon=True).start()
        logger = logging.getLogger("wdsremux")
        if not logger.hasHandlers():
            self._handler = _WarningHandler(self)
            logger.addHandler(self._handler)

    def _tick(self) -> None:
        while not self._is_over.wait(TICK_S):
            with self._lock:
                if not self._is_over.is_set():
                    self.tick()

    def close(self) -> None:
        """End it."""
        self._is_over.set()
        if self._handler is not None:
            logging.getLogger("wdsremux").removeHandler(self._handler)
            self._handler = None


class _WarningHandler(logging.Handler):
    """Shows warnings as notes, above a bar."""

    def __init__(self, view: View) -> None:
        super().__init__(logging.WARNING)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        """Show one; an outage is shown until something is done again."""
        waiting = getattr(record, "waiting", None)
        self._view(waiting if isinstance(waiting, Waiting) else Note(record.getMessage()))


class LogLines(View):
    """A line every 10 s."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._last = time.monotonic()

    def show(self, event: AnyEvent) -> None:
        """Print what is new, and the sums from time to time."""
        if isinstance(event, Note | Opened):
            self.say(escaped(event.text))
        elif isinstance(event, Begun):
            self.say(beginning(event))
        if isinstance(event, Begun | CheckBegun | SyncBegun):
            self._last = time.monotonic()
        elif not isinstance(event, Waiting | Phase | Note):
            self.tick()

    def tick(self) -> None:
        """Print a line if the last one is old."""
        now = time.monotonic()
        is_new_phase = self._phase and self._last < self._phase_since <= now - SHOWN_AFTER_S
        if is_new_phase or now - self._last >= LOG_EVERY_S:
            self._last = now
            if status := self.status():
                self.say(status)


class JsonLines(View):
    """One JSON object a line, for programs."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._began = time.monotonic()
        self._last = 0.0

    def show(self, event: AnyEvent) -> None:
        """Print an event as an object."""
        if isinstance(event, Note):
            self._print("note", {"text": event.text})
        elif isinstance(event, Phase):
            self._print("phase", {"text": event.text})
        elif isinstance(event, Waiting):
            gone_s, limit_s = round(event.gone_s, 1), event.limit_s
            self._print("waiting", {"text": event.reason, "seconds": gone_s, "limit": limit_s})
        elif isinstance(event, ShardDone):
            self._print("shard", {"name": event.shard.name, "bytes": event.shard.size_bytes})
        elif isinstance(event, Done) and isinstance(self._meter, Meter):
            seconds = round(self._meter.seconds, 3)
            self._print("done", self._meter.to_json() | {"seconds": seconds})
        elif isinstance(event, Worked | Advanced | CheckAdvanced | SyncAdvanced):
            now = time.monotonic()
            if now - self._last >= 1.0:
                self._last = now
                self._print("progress", self._meter.to_json())

    def say(self, text: str) -> None:
        """Print nothing: every event has an object of its own."""

    def _print(self, kind: str, values: dict[str, Any]) -> None:
        print(json.dumps({"event": kind, **values}), file=self._out, flush=True)


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
