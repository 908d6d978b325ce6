"""Builders of samples as workers hand them on, and readers of shards as the tar module sees them."""

import io
import tarfile
from itertools import accumulate

from wdsremux.core.records import Rejected
from wdsremux.dataset.shards.packing import SamplePacker

EXTENSIONS = ("jpg", "json")


def content(seed, size):
    """Return bytes of a size that differ from seed to seed."""
    pattern = f"<{seed}>".encode()
    return (pattern * (size // len(pattern) + 1))[:size]


def packed_of(sizes, positions=None, suffix=""):
    """Return packed samples with one sample for each (image size, JSON size) of `sizes`."""
    builder = SamplePacker()
    for i, (image, json) in enumerate(sizes):
        position = i if positions is None else positions[i]
        key = f"{position:09d}{suffix}"
        members = (("jpg", content(f"{key}i", image)), ("json", content(f"{key}j", json)))
        builder.add(position, key, members)
    return builder.packed()


def rejected(position, copy=0, stage="decode", reason="it is broken"):
    """Return a record that gave no sample."""
    return Rejected(position, copy, stage, reason)


def cut(items, lengths):
    """Return consecutive parts of a list; the lengths are used in turn, over and over."""
    items, parts, at = list(items), [], 0
    while at < len(items):
        length = lengths[len(parts) % len(lengths)]
        parts.append(items[at : at + length])
        at += length
    return parts


def starts(sizes):
    """Return where each of consecutive pieces begins."""
    return [0, *accumulate(sizes)][: len(sizes)]


def members_of(tar_bytes):
    """Return [(name, offset of the content, content)] of a tar, and check that all of it is tar."""
    with tarfile.open(fileobj=io.BytesIO(tar_bytes), mode="r:") as tar:
        found = [(m.name, m.offset_data, tar.extractfile(m).read()) for m in tar]
        # After the last member nothing may follow but zeros.
        assert not tar_bytes[tar.offset :].strip(b"\0")
    return found


def keys_of(tar_bytes):
    """Return the keys of a shard's samples, in order."""
    return list(dict.fromkeys(name.split(".")[0] for name, _, _ in members_of(tar_bytes)))


def sample_of(number, size=1000):
    """Return a sample as ShardWriter takes it."""
    return {"__key__": f"{number:06d}", "jpg": content(number, size), "json": {"label": number}}


def shards_in(folder):
    """Return the bytes of a folder's shards by name, in order."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}
