"""Sums up the events of a run, and formats numbers, rates and times for people."""

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from wdsremux.core.events import Advanced, Begun, Event, ShardDone
from wdsremux.core.heartbeat import Worked
from wdsremux.core.option_values import counted, crew, duration
from wdsremux.dataset.shards.bounds import MIN_BYTES


class Meter:
    """Sums up what a run has done since it started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._first: tuple[float, int] | None = None
        """When the first batch was written, and the rows by then: the start is in no rate."""
        self.rows_in_all: int | None = None
        self._last = self._began
        self.rows = 0
        self.ahead = 0
        """Rows that workers have finished and that are not written yet."""
        self.rows_before = 0
        self.samples = 0
        self.rejected = 0
        """Records left out for errors."""
        self.filtered = 0
        self.shards = 0
        self.shards_before = 0
        self.output_bytes = 0
        self._max_shard_bytes = self._least_shards = 0
        self._copies = 1
        self._rows_in_shards: Counter[int] = Counter()

    def note(self, event: Event) -> None:
        """Add an event to the sums."""
        if isinstance(event, Begun):
            self._began = self._clock()
            self._first = None
            self.rows_in_all = event.rows
            self.rows = self.rows_before = event.done_rows
            self.ahead = 0
            self.shards_before = event.done_shards
            self._max_shard_bytes = event.max_shard_bytes
            self._least_shards = event.least_shards
            self._copies = event.copies
        elif isinstance(event, Advanced):
            self.rows += event.rows
            self.ahead = max(0, self.ahead - event.rows)
            self.samples += event.samples
            filtered = sum(item.stage == "filter" for item in event.rejected)
            self.filtered += filtered
            self.rejected += len(event.rejected) - filtered
            self.output_bytes += event.output_bytes
            self._count()
        elif isinstance(event, Worked):
            self.ahead += event.rows
            self._count()
        elif isinstance(event, ShardDone):
            self.shards += 1
            self._rows_in_shards[event.shard.copy] += event.shard.stop - event.shard.start

    def _count(self) -> None:
        self._last = self._clock()
        self._first = self._first or (self._last, self.rows_done)

    @property
    def done(self) -> int:
        """What a bar shows: rows."""
        return self.rows_done

    @property
    def total(self) -> int | None:
        """The whole of a bar."""
        return self.rows_in_all

    @property
    def rows_done(self) -> int:
        """Rows that are done, written or not."""
        done = self.rows + self.ahead
        return done if self.rows_in_all is None else min(done, max(self.rows, self.rows_in_all))

    @property
    def seconds(self) -> float:
        """Time since the work began."""
        return max(self._clock() - self._began, 1e-9)

    @property
    def rows_per_s(self) -> float:
        """Rows per second in this run, without the start of the workers where that is known."""
        is_complete = self.rows_in_all is not None and self.rows >= self.rows_in_all
        now = self._last if is_complete else self._clock()
        if self._first is not None and self.rows_done > self._first[1] and now > self._first[0]:
            return (self.rows_done - self._first[1]) / (now - self._first[0])
        return (self.rows_done - self.rows_before) / max(now - self._began, 1e-9)

    @property
    def start_s(self) -> float:
        """Seconds before the first rows were done; they are in no rate."""
        return 0.0 if self._first is None else self._first[0] - self._began

    @property
    def eta_s(self) -> float | None:
        """Seconds left, if the total number of rows is known."""
        rate = self.rows_per_s
        # Until rows were done twice, the rate includes the start of the workers.
        is_known = self._first is not None and self.rows_done > self._first[1]
        if self.rows_in_all is None or rate <= 0 or not is_known:
            return None
        return max(self.rows_in_all - self.rows_done, 0) / rate

    @property
    def kept_rows(self) -> int:
        """Rows that a resumed run does not do again: those in finished shards of every copy."""
        return self.rows_before + min(self._rows_in_shards[copy] for copy in range(self._copies))

    @property
    def kept_shards(self) -> int:
        """Finished shards of this run and of those before."""
        return self.shards_before + self.shards

    def kept_text(self) -> str:
        """Return "Kept 2 shards (80 of 400 rows). " of finished shards; empty without one."""
        if not self.kept_shards:
            return ""
        of = "" if self.rows_in_all is None else f" of {self.rows_in_all:,}"
        kept = f"Kept {counted(self.kept_shards, 'shard')} ({self.kept_rows:,}{of} rows)"
        # A shard may be finished before the rows of its last batch are reported.
        lost = max(0, self.rows_done - self.kept_rows)
        return f"{kept}; {counted(lost, 'row')} will be redone. " if lost else f"{kept}. "

    @property
    def shards_in_all(self) -> int | None:
        """About how many shards there will be; None if nothing suggests a number."""
        done = self.rows - self.rows_before
        if self.rows_in_all is None or not done:
            return None
        left = self.rows_in_all - self.rows_before
        in_shards = self.kept_rows - self.rows_before
        if in_shards:
            return self.shards_before + math.ceil(left * self.shards / in_shards)
        if self._max_shard_bytes:
            left_bytes = left * self.output_bytes / done
            by_rows = self._least_shards * left // self.rows_in_all
            return self.shards_before + max(
                math.ceil(left_bytes / self._max_shard_bytes),
                min(by_rows, int(left_bytes // MIN_BYTES)),
            )
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the sums as a line of `--progress json` has them."""
        return {
            "rows": self.rows,
            "rows_in_all": self.rows_in_all,
            "samples": self.samples,
            "rejected": self.rejected,
            "filtered": self.filtered,
            "shards": self.shards,
            "output_bytes": self.output_bytes,
            "images_per_s": round(self.rows_per_s, 1),
            "mb_per_s": round(self.output_bytes / self.seconds / 1e6, 2),
            "eta_s": None if self.eta_s is None else round(self.eta_s, 1),
        }

    def line(self) -> str:
        """Return the sums as the bar and a line of `--progress log` show them."""
        of = f" of {self.rows_in_all:,}" if self.rows_in_all is not None else ""
        parts = [f"{self.rows_done:,}{of} rows", images_per_s(self.rows_per_s), self._shard()]
        if self.rejected:
            parts.append(f"{self.rejected:,} rejected")
        if self.filtered:
            parts.append(f"{self.filtered:,} filtered")
        if self.eta_s:
            parts.append(f"{duration(self.eta_s)} left")
        return ", ".join(parts)

    def _shard(self) -> str:
        """Return which shard is being written: "shard 2 of ~13"."""
        whole = self.shards_in_all
        if self.rows == self.rows_in_all:
            return counted(self.kept_shards, "shard")
        current = self.kept_shards + 1
        return f"shard {current}" + ("" if whole is None else f" of ~{max(whole, current)}")


def images_per_s(rate: float) -> str:
    """Return a rate for people; a slow one is not rounded to zero."""
    return f"{rate:.0f} images/s" if rate >= 10 else f"{rate:.2g} images/s"


def beginning(event: Begun) -> str:
    """Return what a conversion does, as its first line."""
    rows = "rows" if event.rows is None else f"{event.rows:,} row{'s' if event.rows != 1 else ''}"
    resumed = f"; {event.done_rows:,} already done, resuming" if event.done_rows else ""
    where = f"with {crew(event.workers, event.engine)}" if event.workers else "in this process"
    return f"converting {rows} {where}{resumed}"
