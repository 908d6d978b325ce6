"""Runs of a SeriesWriter over the same rows, from the start or from where another run stopped."""

from dataclasses import dataclass, field

from support.memory_store import MemoryStore
from support.samples import cut, packed_of, rejected

from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.dataset.shards.series import SeriesPlan, SeriesWriter


def plan_of(bounds=None, *, allow_oversize=False, **changes):
    """Return a plan of the split "train"."""
    fixed = {
        "split": "train",
        "copy": 0,
        "prefix": "train",
        "bounds": bounds or Bounds(30_720),
        "extensions": ("jpg", "json"),
        "fingerprint": "f" * 64,
    }
    return SeriesPlan(**(fixed | changes), allow_oversize=allow_oversize)


@dataclass
class Rows:
    """The rows of a series: a pair of sizes is a sample, None a rejected row."""

    outcomes: list
    batch_rows: list = field(default_factory=lambda: [3, 1, 5])
    """Rows of the batches, used in turn."""
    first: int = 0
    """Position of the first row."""

    @property
    def stop(self):
        return self.first + len(self.outcomes)

    @property
    def positions(self):
        """Positions of the samples."""
        return [self.first + i for i, sizes in enumerate(self.outcomes) if sizes is not None]

    @property
    def rejected_positions(self):
        return [self.first + i for i, sizes in enumerate(self.outcomes) if sizes is None]

    def batches(self, start=None):
        """Yield (packed, rejected) of the batches from row `start` on."""
        low = self.first if start is None else start
        rows = list(enumerate(self.outcomes, self.first))[low - self.first :]
        for batch in cut(rows, self.batch_rows):
            kept = [(position, sizes) for position, sizes in batch if sizes is not None]
            packed = packed_of([sizes for _, sizes in kept], [position for position, _ in kept])
            yield packed, [rejected(position) for position, sizes in batch if sizes is None]


@dataclass
class Written:
    """What a run published."""

    store: MemoryStore
    summaries: list

    @property
    def shards(self):
        return {name: data for name, data in self.store.files.items() if name.endswith(".tar")}

    @property
    def entries(self):
        """Entries in shard order."""
        names = [entry_name(name) for name in sorted(self.shards)]
        return [ShardEntry.from_bytes(self.store.files[name], name) for name in names]


def write(rows, plan, *, start=None, number=0, read_from=None):
    """Write a series, or its rest from position `start` on; batches begin at row `read_from`."""
    store, summaries = MemoryStore(), []
    start = rows.first if start is None else start
    writer = SeriesWriter(store, plan, start=start, number=number, on_shard=summaries.append)
    for packed, out in rows.batches(start if read_from is None else read_from):
        writer.reject(out)
        writer.add(packed)
    writer.finish(rows.stop)
    return Written(store, summaries)
