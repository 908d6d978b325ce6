"""Datasets as a ledger finds them: half done, finished, damaged."""

from support.memory_store import MemoryStore
from support.store_conformance import publish
from support.summaries import entry_of, head_of, manifest_of, summary_of

from wdsremux.dataset.card import card_bytes
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.ledger import Ledger
from wdsremux.dataset.rejected import REJECTED_NAME

HEAD = head_of(series=("train",))


def publish_shard(store, summary, rejected_rows=(), *, with_entry=True):
    """Publish a file of the summary's size, and its entry."""
    publish(store, summary.name, bytes(summary.size_bytes))
    if with_entry:
        publish(store, entry_name(summary.name), entry_of(summary, rejected_rows).to_bytes())


def publish_series(store, count, **changes):
    """Publish `count` shards of ten rows each; the last one says so."""
    shards = [
        summary_of(i, 10 * i, 10 * i + 10, is_last=i == count - 1, **changes) for i in range(count)
    ]
    for shard in shards:
        publish_shard(store, shard)
    return shards


def finished():
    """Return the store of a finished dataset, and its shards."""
    store = MemoryStore()
    Ledger(store).begin(HEAD)
    shards = publish_series(store, 2)
    manifest = manifest_of(shards, series=("train",))
    publish(store, REJECTED_NAME, b"")
    publish(store, "README.md", card_bytes(manifest))
    publish(store, "index.json", manifest.to_bytes())
    return store, shards
