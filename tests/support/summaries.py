"""Builders of shard summaries, entries and manifests."""

from array import array

from wdsremux.core.head import Head
from wdsremux.core.manifest import Manifest, ShardSummary
from wdsremux.dataset.entry import ShardEntry


def summary_of(number=0, start=0, stop=10, *, split="train", copy=0, prefix=None, **changes):
    """Return the summary of a shard whose rows all became samples."""
    known = {
        "name": f"{prefix or split}-{number:06d}.tar",
        "split": split,
        "copy": copy,
        "number": number,
        "samples": stop - start - changes.get("rejected", 0) - changes.get("filtered", 0),
        "rejected": 0,
        "size_bytes": 10_240,
        "sha256": f"{number:064x}",
        "first_position": start,
        "last_position": stop - 1,
        "start": start,
        "stop": stop,
        "is_last": False,
    }
    return ShardSummary(**(known | changes))


def entry_of(summary, rejected=(), fingerprint="f" * 64):
    """Return an entry with as many samples as its summary says, of 100 and 20 bytes each."""
    positions = range(summary.start, summary.start + summary.samples)
    return ShardEntry(
        summary=summary,
        fingerprint=fingerprint,
        extensions=("jpg", "json"),
        keys=[f"{position:09d}" for position in positions],
        positions=array("Q", positions),
        sizes=array("Q", [2048] * summary.samples),
        crcs=array("Q", range(summary.samples)),
        members=array("Q", [100, 20] * summary.samples),
        rejected=tuple(rejected),
    )


def head_of(**changes):
    """Return the head of a dataset with cats and dogs."""
    known = {
        "name": "pets",
        "class_names": ("cat", "dog"),
        "features": {
            "jpg": "image",
            "json": {"struct": {"label": {"class_label": ["cat", "dog"]}, "width": "int64"}},
        },
        "options": {"seed": 42, "steps": ["resize=256"]},
        "source": {"kind": "demo"},
        "versions": {"pillow": "12.0"},
        "fingerprint": "a" * 64,
        "notes": ("packed as stored",),
    }
    return Head(**(known | changes))


def manifest_of(shards=None, *, published=None, **changes):
    """Return the manifest of a dataset with cats and dogs; `changes` are fields of its head."""
    shards = (summary_of(is_last=True),) if shards is None else tuple(shards)
    return Manifest(head=head_of(**changes), shards=shards, published=published or {})
