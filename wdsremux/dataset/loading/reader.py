"""Reads samples by their number: from a folder one read each, over a network many at once.

What it reads through is opened lazily and again in every process, so a reader can be pickled,
forked and used by several threads.
"""

import os
import threading
import weakref
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import RawIOBase
from itertools import accumulate

from wdsremux.core.manifest import Manifest, ShardSummary
from wdsremux.dataset.loading.cache import Cache, ChunkCache
from wdsremux.dataset.loading.order import BLOCK_SAMPLES
from wdsremux.dataset.reader import Output, open_output

MAX_OPEN_SHARDS = 64
"""Kept open by each process."""
MAX_KNOWN_SAMPLES = 16 << 20
"""Samples whose offsets and CRCs a process keeps in memory, at 12 bytes each."""
REQUESTS_AT_ONCE = 16
"""Over a network, for one batch."""
MAX_RUN_BYTES = 8 << 20
"""Neighbours that are needed together are fetched by one request up to this size."""


class SampleReader:
    """The samples of some shards of an output, numbered through."""

    def __init__(
        self,
        out: str,
        manifest: Manifest,
        shards: Sequence[ShardSummary],
        cache: Cache | None = None,
    ) -> None:
        """Take what `open_output(out)` found; nothing is read yet."""
        self.out = out
        self.manifest = manifest
        self.shards = tuple(shards)
        self._cache = cache
        self._ends = list(accumulate(shard.samples for shard in shards))
        self._own: _ProcessReader | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __reduce__(self) -> tuple[object, ...]:
        return SampleReader, (self.out, self.manifest, self.shards, self._cache)

    @property
    def is_remote(self) -> bool:
        """Whether reading waits for a network, so that it is worth reading ahead."""
        return self._reader().is_remote

    def read(self, indices: Sequence[int]) -> list[bytes]:
        """Return the bytes that these samples have in their shards, in this order.

        Each is compared with its CRC-32. Raises CorruptDataError for a damaged one, StoreError.
        """
        return self._reader().read([self.locate(index) for index in indices])

    def locate(self, index: int) -> tuple[ShardSummary, int]:
        """Return the shard of a sample and its number there."""
        at = bisect_right(self._ends, index)
        shard = self.shards[at]
        return shard, index - self._ends[at] + shard.samples

    def _reader(self) -> "_ProcessReader":
        reader = self._own
        if reader is None or reader.process != os.getpid():
            output = open_output(self.out, self.manifest)
            reader = self._own = _ProcessReader(output, self._cache)
        return reader


Location = tuple[ShardSummary, int]


@dataclass(frozen=True, slots=True)
class _Offsets:
    """Where the samples of a shard are: what is needed of its entry."""

    starts: "array[int]"
    """And the end of the last one."""
    crcs: "array[int]"


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbours in one shard that are fetched together."""

    shard: ShardSummary
    first: int
    stop: int


class _ProcessReader:
    """Open shards and known offsets of one process; they are closed with the last reference."""

    def __init__(self, output: Output, cache: Cache | None) -> None:
        self.process = os.getpid()
        self.is_remote = output.is_remote
        self._output = output
        self._cache = ChunkCache(cache) if cache is not None and self.is_remote else None
        self._offsets: OrderedDict[str, _Offsets] = OrderedDict()
        self._known_samples = 0
        self._idle: OrderedDict[str, list[RawIOBase]] = OrderedDict()
        """Open files that no thread reads at the moment, the last used at the end."""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        weakref.finalize(self, _close, output, self._idle).atexit = False

    def read(self, locations: Sequence[Location]) -> list[bytes]:
        """Return the bytes of samples, in this order."""
        if not self.is_remote:
            return [self._one(shard, number) for shard, number in locations]
        found: dict[tuple[str, int], bytes] = {}
        wanted: dict[str, set[int]] = {}
        for shard, number in locations:
            wanted.setdefault(shard.name, set()).add(number)
        runs = list(self._runs(sorted(set(locations), key=lambda one: (one[0].name, one[1]))))
        for run, data in zip(runs, self._threads().map(self._fetched, runs), strict=True):
            offsets = self._offsets_of(run.shard)
            base = offsets.starts[run.first]
            for number in wanted[run.shard.name].intersection(range(run.first, run.stop)):
                start, stop = offsets.starts[number], offsets.starts[number + 1]
                part = data[start - base : stop - base]
                self._check(part, run.shard, offsets, number)
                found[run.shard.name, number] = part
        return [found[shard.name, number] for shard, number in locations]

    def _one(self, shard: ShardSummary, number: int) -> bytes:
        offsets = self._offsets_of(shard)
        data = self._range(shard, offsets.starts[number], offsets.starts[number + 1])
        self._check(data, shard, offsets, number)
        return data

    def _runs(self, locations: Sequence[Location]) -> Iterator[_Run]:
        """Yield what to fetch for samples that are sorted by shard and number.

        With a cache these are whole blocks, at the same places in every epoch.
        """
        run: _Run | None = None
        for shard, number in locations:
            first, stop = number, number + 1
            if self._cache is not None:
                first = number - number % BLOCK_SAMPLES
                stop = min(first + BLOCK_SAMPLES, shard.samples)
            if run is not None and run.shard == shard and first < run.stop:
                continue
            if run is not None and self._cache is None and self._joins(run, shard, first):
                run = _Run(shard, run.first, stop)
                continue
            if run is not None:
                yield run
            run = _Run(shard, first, stop)
        if run is not None:
            yield run

    def _joins(self, run: _Run, shard: ShardSummary, number: int) -> bool:
        if run.shard != shard or run.stop != number:
            return False
        starts = self._offsets_of(shard).starts
        return starts[number + 1] - starts[run.first] <= MAX_RUN_BYTES

    def _fetched(self, run: _Run) -> bytes:
        starts = self._offsets_of(run.shard).starts
        start, stop = starts[run.first], starts[run.stop]
        if self._cache is None:
            return self._range(run.shard, start, stop)
        name = f"{run.shard.sha256}-{run.first}-{run.stop}"
        return self._cache.get(name, lambda: self._checked_range(run, start, stop), stop - start)

    def _checked_range(self, run: _Run, start: int, stop: int) -> bytes:
        """Return a run of which every sample is as recorded: nothing damaged is cached."""
        data = self._range(run.shard, start, stop)
        offsets = self._offsets_of(run.shard)
        for number in range(run.first, run.stop):
            one = data[offsets.starts[number] - start : offsets.starts[number + 1] - start]
            self._check(one, run.shard, offsets, number)
        return data

    def _range(self, shard: ShardSummary, start: int, stop: int) -> bytes:
        file = self._taken(shard)
        try:
            data = self._output.bytes_at(file, shard, start, stop - start)
        except BaseException:
            file.close()
            raise
        self._give_back(shard, file)
        return data

    def _check(self, data: bytes, shard: ShardSummary, offsets: _Offsets, number: int) -> None:
        start, stop = offsets.starts[number], offsets.starts[number + 1]
        self._output.check(data, shard, (start, stop - start, offsets.crcs[number]))

    def _offsets_of(self, shard: ShardSummary) -> _Offsets:
        offsets = self._offsets.get(shard.name)
        if offsets is not None:
            return offsets
        entry = self._output.entry(shard)
        offsets = _Offsets(array("Q", accumulate(entry.sizes, initial=0)), array("I", entry.crcs))
        with self._lock:
            if shard.name not in self._offsets:
                self._offsets[shard.name] = offsets
                self._known_samples += len(offsets.crcs)
            while self._known_samples > MAX_KNOWN_SAMPLES and len(self._offsets) > 1:
                _, oldest = self._offsets.popitem(last=False)
                self._known_samples -= len(oldest.crcs)
        return offsets

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="samples")
        return self._pool

    def _taken(self, shard: ShardSummary) -> RawIOBase:
        with self._lock:
            idle = self._idle.get(shard.name)
            if idle:
                return idle.pop()
        return self._output.open(shard)

    def _give_back(self, shard: ShardSummary, file: RawIOBase) -> None:
        with self._lock:
            self._idle.setdefault(shard.name, []).append(file)
            self._idle.move_to_end(shard.name)
            oldest = []
            if len(self._idle) > MAX_OPEN_SHARDS:
                oldest = self._idle.popitem(last=False)[1]
        for one in oldest:
            one.close()


def _close(output: Output, idle: "OrderedDict[str, list[RawIOBase]]") -> None:
    for files in idle.values():
        for file in files:
            file.close()
    output.__exit__(None, None, None)
