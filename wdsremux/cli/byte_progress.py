"""Shows the progress of bytes that a verification reads or a sync sends."""

import time
from collections.abc import Callable
from typing import Any, TextIO, cast

from wdsremux.converting.progress import LOG_EVERY_S, BestEffortStream
from wdsremux.core.escaping import escaped
from wdsremux.core.events import CheckAdvanced, CheckBegun, CheckEvent, Note, SyncBegun, SyncEvent
from wdsremux.core.option_values import counted, duration, size


def byte_progress(out: TextIO) -> Callable[[CheckEvent | SyncEvent], None]:
    """Return an observer that shows progress: a bar on a terminal, else a line every 10 s."""
    stream = cast("TextIO", BestEffortStream(out))
    return _Bar(stream) if out.isatty() else _Log(stream)


class _Bar:
    """A tqdm bar for a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar: Any = None

    def __call__(self, event: CheckEvent | SyncEvent) -> None:
        """Draw the progress; notes are printed above the bar."""
        if isinstance(event, Note):
            if self._bar is None:
                print(escaped(event.text), file=self._out, flush=True)
            else:
                self._bar.write(escaped(event.text), file=self._out)
        elif isinstance(event, CheckBegun | SyncBegun):
            if not event.size_bytes:
                return
            from tqdm import tqdm

            self._bar = tqdm(
                total=event.size_bytes,
                unit="B",
                unit_scale=True,
                file=self._out,
                dynamic_ncols=True,
                leave=False,
            )
        elif self._bar is not None:
            self._bar.update(event.size_bytes)
            if self._bar.n >= self._bar.total:
                self._bar.close()
                self._bar = None


class _Log:
    """A line every 10 s."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began = self._last = time.monotonic()
        self._begun: CheckBegun | SyncBegun = SyncBegun(0, 0)
        self._done_bytes = self._done = 0

    def __call__(self, event: CheckEvent | SyncEvent) -> None:
        """Add an event to the sums, and print them every 10 s."""
        if isinstance(event, Note):
            self._say(escaped(event.text))
        elif isinstance(event, CheckBegun | SyncBegun):
            self._begun = event
            self._began = self._last = time.monotonic()
        else:
            self._done_bytes += event.size_bytes
            self._done += event.shards if isinstance(event, CheckAdvanced) else event.files
            now = time.monotonic()
            if now - self._last >= LOG_EVERY_S:
                self._last = now
                self._say(self._line(now))

    def _line(self, now: float) -> str:
        begun = self._begun
        whole = (
            counted(begun.shards, "shard")
            if isinstance(begun, CheckBegun)
            else counted(begun.files, "file")
        )
        rate = self._done_bytes / max(now - self._began, 1e-9)
        left_bytes = max(begun.size_bytes - self._done_bytes, 0)
        to_go = f", {duration(left_bytes / rate)} to go" if rate else ""
        return (
            f"{self._done} of {whole}, {size(self._done_bytes)} of {size(begun.size_bytes)}, "
            f"{rate / 1e6:.1f} MB/s{to_go}"
        )

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)
