"""Reports the shards that other processes publish in an output, as events of one run."""

from collections.abc import Iterator

from wdsremux.core.events import Advanced, Observer, ShardDone
from wdsremux.core.manifest import MAX_ENTRY_BYTES, STATE_FOLDER
from wdsremux.dataset.entry import ShardEntry
from wdsremux.stores.base import Store


class PublishedShards:
    """Reads the entries of an output, each once, as they are published.

    Several processes may write the output. A shard is counted when its entry exists.
    """

    def __init__(self, store: Store, fingerprint: str) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._seen: set[str] = set()
        self.shards = 0
        """Shards that were found, of all copies."""
        self.rows = 0
        """Rows in these shards; the rows of further copies do not count."""

    def new(self) -> Iterator[ShardEntry]:
        """Yield the entries that were published since the last call."""
        names = [name for name, _ in self._store.list(STATE_FOLDER) if name.endswith(".msgpack")]
        for name in sorted(set(names) - self._seen):
            data = self._store.read(name, MAX_ENTRY_BYTES)
            if data is None:  # removed since
                continue
            entry = ShardEntry.from_bytes(data, name)
            self._seen.add(name)
            if entry.fingerprint != self._fingerprint:
                continue
            self.shards += 1
            self.rows += _rows_of(entry)
            yield entry

    def report(self, observer: Observer) -> int:
        """Report what was published since the last call; return the number of shards."""
        before = self.shards
        for entry in self.new():
            summary = entry.summary
            observer(
                Advanced(
                    rows=_rows_of(entry),
                    samples=summary.samples,
                    rejected=tuple(entry.rejected),
                    input_bytes=0,
                    output_bytes=summary.size_bytes,
                )
            )
            observer(ShardDone(summary))
        return self.shards - before


def _rows_of(entry: ShardEntry) -> int:
    summary = entry.summary
    return summary.stop - summary.start if summary.copy == 0 else 0
