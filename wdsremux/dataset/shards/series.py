"""Writes one series of shards: packed samples come in, whole shards and their entries come out."""

import hashlib
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.manifest import ShardSummary
from wdsremux.core.records import PackedSamples, Rejected
from wdsremux.core.tar import ustar
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.stores.base import Staged, Store

_NAME = re.compile(r"(.+)-(?:[0-9]{6}|[1-9][0-9]{6,})\.tar")


def prefix_of(split: str, copy: int, copies: int) -> str:
    """Return the prefix of the shards of a series, before their number."""
    return split if copies == 1 else f"{split}-c{copy}"


def split_of_prefix(prefix: str, copies: int) -> str:
    """Return the split of a series by the prefix of its shards: the reverse of `prefix_of`."""
    return prefix if copies == 1 else prefix.rpartition("-c")[0]


def shard_name(prefix: str, number: int) -> str:
    """Return the name of a shard of a series: six digits, and more from 1,000,000 on."""
    return f"{prefix}-{number:06d}.tar"


def prefix_of_shard(name: str) -> str:
    """Return the prefix of the series in a shard's name; "" for any other name."""
    match = _NAME.fullmatch(name)
    return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """What is fixed for a series before its first sample."""

    split: str
    copy: int
    prefix: str
    """Of the shards' names, before their number."""
    bounds: Bounds
    extensions: tuple[str, ...]
    """Of the members, in the order they have in every sample."""
    fingerprint: str
    allow_oversize: bool = False
    borders: tuple[int, ...] = ()
    """Positions at which the shards begin, and the end of the series; empty where sizes decide."""

    def stop_of(self, number: int) -> int | None:
        """Return the position after the last row of a shard, where that is known before."""
        return self.borders[number + 1] if self.borders else None


@dataclass(slots=True)
class _OpenShard:
    """The shard being written."""

    staged: Staged
    number: int
    start: int
    payload_bytes: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    keys: list[str] = field(default_factory=list)
    positions: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    crcs: "array[int]" = field(default_factory=lambda: array("Q"))
    members: "array[int]" = field(default_factory=lambda: array("Q"))

    def write(self, data: memoryview | bytes) -> None:
        self.staged.write(data)
        self.digest.update(data)


class SeriesWriter:
    """Appends samples in position order and publishes each shard that is full, then its entry.

    `start` and `number` say where a resumed series continues. Samples before `start` are skipped:
    another copy of the same rows may not be as far.
    """

    def __init__(
        self,
        store: Store,
        plan: SeriesPlan,
        *,
        start: int = 0,
        number: int = 0,
        on_shard: Callable[[ShardSummary], None] = lambda _summary: None,
        approve: Callable[[ShardSummary], None] = lambda _summary: None,
    ) -> None:
        """`approve` is called before a shard is published; an exception of it prevents that."""
        self._store = store
        self._plan = plan
        self._start = start
        self._number = number
        self._on_shard = on_shard
        self._approve = approve
        self._shard: _OpenShard | None = None
        self._rejected: list[Rejected] = []
        self._expanded: list[tuple[int, int]] = []

    def add(self, packed: PackedSamples) -> None:
        """Append samples; those of one row stay in one shard.

        Raises StoreError, or UsageError for a sample over the bound.
        """
        payload, positions, sizes = memoryview(packed.payload), packed.positions, packed.sizes
        run = i = bisect_left(positions, self._start)
        begin = at = sum(sizes[:run])
        while i < len(sizes):
            size, end = sizes[i], i + 1
            while end < len(sizes) and positions[end] == positions[i]:
                size += sizes[end]
                end += 1
            is_behind = self._is_behind(positions[i])
            has_room = self._has_room(at - begin, i - run, size, end - i)
            if is_behind or not has_room or self._is_full(at - begin, positions[i]):
                self._append(packed, run, i, payload[begin:at])
                if not is_behind:
                    self._refuse_full(positions[i])
                self._roll(packed, i, end, size)
                run, begin = i, at
            at += size
            i = end
        self._append(packed, run, len(sizes), payload[begin:at])

    @property
    def pending(self) -> Sequence[Rejected]:
        """Rejected records that no finished shard covers yet."""
        return self._rejected

    def reject(self, rejected: Iterable[Rejected]) -> None:
        """Record rows without a sample; call it before `add` with the samples after them."""
        self._rejected.extend(r for r in rejected if r.position >= self._start)

    def expand(self, expanded: Iterable[tuple[int, int]]) -> None:
        """Count samples beyond one for a row, as (position, samples); call it before `add`."""
        self._expanded.extend(item for item in expanded if item[0] >= self._start)

    def finish(self, stop: int, *, is_last: bool = True) -> None:
        """Publish the last shard; `stop` is the position after the last row.

        The last row of the series, or, when the shards after it are not written, of the shard.
        """
        if self._shard is not None:
            self._publish(self._shard, self._stop(stop), is_last=is_last)
        if self._plan.borders and self._start < stop:
            self._refuse_empty()

    def abort(self) -> None:
        """Remove the unfinished shard; published shards stay."""
        if self._shard is not None:
            self._shard.staged.discard()
            self._shard = None

    def _has_room(self, more_bytes: int, more_samples: int, size: int, samples: int) -> bool:
        shard = self._shard
        return shard is not None and self._plan.bounds.fits(
            shard.payload_bytes + more_bytes, len(shard.keys) + more_samples, size, samples
        )

    def _is_full(self, more_bytes: int, position: int) -> bool:
        """Return whether the open shard ends before the row at a position."""
        shard = self._shard
        return shard is not None and self._plan.bounds.is_full(
            shard.payload_bytes + more_bytes, position - shard.start
        )

    def _roll(self, packed: PackedSamples, first: int, end: int, size: int) -> None:
        """Publish the shard that is full, if any, and open the one that begins with a row.

        The samples of the row are first..end-1.
        """
        position, samples = packed.positions[first], end - first
        if self._shard is not None:
            self._publish(self._shard, self._stop(position), is_last=False)
        if self._is_behind(position):
            self._refuse_empty()
        bounds = self._plan.bounds
        is_oversize = not bounds.fits(0, 0, size) and not self._plan.allow_oversize
        if is_oversize or samples > (bounds.max_samples or samples):
            raise UsageError(_excess(packed.keys[first], position, size, samples, bounds))
        name = shard_name(self._plan.prefix, self._number)
        self._shard = _OpenShard(self._store.stage(name), self._number, self._start)

    def _is_behind(self, position: int) -> bool:
        """Return whether a row comes after those of the shard that is open, or to be opened."""
        stop = self._plan.stop_of(self._number)
        return stop is not None and position >= stop

    def _stop(self, position: int) -> int:
        """Return the end of the open shard, if the next one has a row at `position`, or none."""
        stop = self._plan.stop_of(self._number)
        return position if stop is None else min(stop, position)

    def _refuse_full(self, position: int) -> None:
        """Raise UsageError where a shard of known rows has no room for one of them."""
        stop = self._plan.stop_of(self._number)
        if stop is None or self._shard is None:
            return
        rows, fitting = stop - self._start, max(1, position - self._start)
        needed = -(-(len(self._plan.borders) - 1) * rows // fitting)
        raise UsageError(
            f"shard {shard_name(self._plan.prefix, self._number)} reaches --max-shard-size with "
            f"{fitting} of its {rows} rows; use --shards {needed + needed // 10} or more, or raise "
            "--max-shard-size"
        )

    def _refuse_empty(self) -> None:
        """Raise CorruptDataError for a shard of known rows that has no sample."""
        raise CorruptDataError(
            f"shard {shard_name(self._plan.prefix, self._number)} would be empty: every row from "
            f"row {self._start} to row {(self._plan.stop_of(self._number) or 0) - 1} was rejected "
            "or filtered; use fewer --shards, or --shuffle"
        )

    def _append(self, packed: PackedSamples, run: int, end: int, data: memoryview) -> None:
        """Write samples run..end-1 of packed samples to the open shard."""
        if self._shard is None or run == end:
            return
        shard = self._shard
        shard.write(data)
        shard.payload_bytes += len(data)
        shard.keys.extend(packed.keys[run:end])
        shard.positions.extend(packed.positions[run:end])
        shard.sizes.extend(packed.sizes[run:end])
        shard.crcs.extend(packed.crcs[run:end])
        for sizes in packed.members[run:end]:
            shard.members.extend(sizes)

    def _publish(self, shard: _OpenShard, stop: int, *, is_last: bool) -> None:
        shard.write(ustar.trailer(shard.payload_bytes))
        entry = self._entry(shard, stop, is_last=is_last)
        self._approve(entry.summary)
        shard.staged.commit()
        staged = self._store.stage(entry_name(entry.summary.name))
        data = entry.to_bytes()
        staged.write(data)
        staged.commit()
        self._shard = None
        self._number = shard.number + 1
        self._start = stop
        self._rejected = [r for r in self._rejected if r.position >= stop]
        self._expanded = [item for item in self._expanded if item[0] >= stop]
        self._on_shard(replace(entry.summary, entry_sha256=hashlib.sha256(data).hexdigest()))

    def _entry(self, shard: _OpenShard, stop: int, *, is_last: bool) -> ShardEntry:
        plan = self._plan
        rejected = tuple(r for r in self._rejected if r.position < stop)
        filtered = sum(r.stage == "filter" for r in rejected)
        return ShardEntry(
            ShardSummary(
                name=shard_name(plan.prefix, shard.number),
                split=plan.split,
                copy=plan.copy,
                number=shard.number,
                samples=len(shard.keys),
                rejected=len(rejected) - filtered,
                size_bytes=ustar.file_bytes(shard.payload_bytes),
                sha256=shard.digest.hexdigest(),
                first_position=shard.positions[0],
                last_position=shard.positions[-1],
                start=shard.start,
                stop=stop,
                is_last=is_last,
                expanded=sum(more for position, more in self._expanded if position < stop),
                filtered=filtered,
            ),
            plan.fingerprint,
            plan.extensions,
            shard.keys,
            shard.positions,
            shard.sizes,
            shard.crcs,
            shard.members,
            rejected,
        )


def _excess(key: str, position: int, size: int, samples: int, bounds: Bounds) -> str:
    """Return the message for a row that no shard can hold."""
    max_samples = bounds.max_samples
    if max_samples is not None and samples > max_samples:
        return (
            f"row {position} has {samples} samples, which stay in one shard, more than "
            f"--max-shard-samples {max_samples}; raise it, or return fewer samples"
        )
    what = (
        f"sample {key!r} (row {position}) needs"
        if samples == 1
        else (f"the {samples} samples of row {position}, which stay in one shard, need")
    )
    return (
        f"{what} a tar of {ustar.file_bytes(size)} bytes, more than --max-shard-size "
        f"{bounds.max_bytes}; raise it, make the images smaller, or pass --allow-oversize to write "
        "a shard with this sample alone"
    )
