"""Datasets as a ledger finds them: half done, finished, damaged."""

from support.memory_store import MemoryStore
from support.store_conformance import publish
from support.summaries import entry_of, head_of, manifest_of, summary_of

from wdsremux.dataset.card import card_bytes
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.ledger import REJECTED_NAME, Ledger

HEAD = head_of(series=("train",))


def publish_shard(target, summary, rejected_rows=(), *, with_entry=True):
    """Publish a file of the summary's size, and its entry."""
    publish(target, summary.name, bytes(summary.size_bytes))
    if with_entry:
        publish(target, entry_name(summary.name), entry_of(summary, rejected_rows).to_bytes())


def publish_series(target, count, **changes):
    """Publish `count` shards of ten rows each; the last one says so."""
    shards = [
        summary_of(i, 10 * i, 10 * i + 10, is_last=i == count - 1, **changes) for i in range(count)
    ]
    for shard in shards:
        publish_shard(target, shard)
    return shards


def finished():
    """Return the target of a finished dataset, and its shards."""
    target = MemoryStore()
    Ledger(target).begin(HEAD)
    shards = publish_series(target, 2)
    manifest = manifest_of(shards, series=("train",))
    publish(target, REJECTED_NAME, b"")
    publish(target, "README.md", card_bytes(manifest))
    publish(target, "index.json", manifest.to_bytes())
    return target, shards
