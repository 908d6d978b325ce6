"""Sums up how many bytes and files a verification has read, or a sync has sent."""

import time
from collections.abc import Callable
from typing import Any

from wdsremux.core.events import CheckAdvanced, CheckBegun, SyncAdvanced, SyncBegun
from wdsremux.core.option_values import counted, duration, size


class ByteMeter:
    """What a verification or a sync has done since it began."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._noun = "file"
        self.size_bytes = self.done_bytes = 0
        self.files = self.done_files = 0

    def note(self, event: object) -> None:
        """Add an event to the sums."""
        if isinstance(event, CheckBegun | SyncBegun):
            self._began = self._clock()
            self.size_bytes, self.done_bytes, self.done_files = event.size_bytes, 0, 0
            is_check = isinstance(event, CheckBegun)
            self._noun = "shard" if is_check else "file"
            self.files = event.shards if isinstance(event, CheckBegun) else event.files
        elif isinstance(event, CheckAdvanced | SyncAdvanced):
            self.done_bytes += event.size_bytes
            self.done_files += event.shards if isinstance(event, CheckAdvanced) else event.files

    @property
    def done(self) -> int:
        """Bytes that are done."""
        return min(self.done_bytes, self.size_bytes)

    @property
    def total(self) -> int | None:
        """Bytes in all; None where there are none to wait for."""
        return self.size_bytes or None

    def line(self) -> str:
        """Return "2 of 4 shards, 60.0 MB of 100.0 MB, 5.0 MB/s, 8 s left"."""
        parts = [f"{self.done_files:,} of {counted(self.files, self._noun)}"]
        rate = self.done_bytes / max(self._clock() - self._began, 1e-9)
        if self.size_bytes:
            parts.append(f"{size(self.done_bytes)} of {size(self.size_bytes)}")
        if self.size_bytes and rate:
            left_bytes = max(self.size_bytes - self.done_bytes, 0)
            parts.append(f"{rate / 1e6:.1f} MB/s")
            parts += [f"{duration(left_bytes / rate)} left"] if left_bytes else []
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the sums as a line of `--progress json` has them."""
        return {
            f"{self._noun}s": self.done_files,
            f"{self._noun}s_in_all": self.files,
            "bytes": self.done_bytes,
            "bytes_in_all": self.size_bytes,
        }
