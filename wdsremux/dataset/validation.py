"""Checks that a manifest, a head or an entry read from an output is well-formed."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.manifest import MANIFEST_NAME, Manifest, ShardSummary, Totals
from wdsremux.core.tar import ustar
from wdsremux.dataset.entry import ShardEntry

_SHA256 = re.compile(r"[0-9a-f]{64}")


_MAX_COUNT = 2**63


MAX_NAME_CHARS = 1024
"""Of shards and splits; to take a longer one apart costs time."""


Numbers = npt.NDArray[np.uint64]


def summary_problem(shard: ShardSummary) -> str | None:
    """Return what cannot be in a shard's summary; None when nothing is wrong."""
    # What the annotations say is exactly what is in doubt.
    texts: tuple[Any, ...] = (shard.name, shard.split, shard.sha256)
    is_last: Any = shard.is_last
    if not all(isinstance(text, str) for text in texts) or not isinstance(is_last, bool):
        return "a field has another type"
    if max(map(len, texts)) > MAX_NAME_CHARS:
        return "a name is longer than any of a file"
    numbers = (
        shard.copy, shard.number, shard.samples, shard.rejected, shard.size_bytes,
        shard.first_position, shard.last_position, shard.start, shard.stop,
    )  # fmt: skip
    if not all(_is_count(number) for number in numbers):
        return "a field is no whole number"
    if not _SHA256.fullmatch(shard.sha256):
        return "its sha256 is none"
    if not shard.start <= shard.first_position <= shard.last_position < shard.stop:
        return "its positions are not in order"
    return None


def believed_manifest(data: bytes) -> Manifest:
    """Read a manifest that makes sense in itself. Raises CorruptDataError."""
    try:
        manifest = Manifest.from_bytes(data)
        problem = manifest_problem(manifest)
    except RecursionError as exc:
        raise CorruptDataError(f"cannot read {MANIFEST_NAME!r}: {exc}") from exc
    if problem is not None:
        raise CorruptDataError(f"cannot read {MANIFEST_NAME!r}: {problem}")
    return manifest


def manifest_problem(manifest: Manifest) -> str | None:
    """Return what has a form that no manifest has; None when nothing is wrong."""
    for number, shard in enumerate(manifest.shards):
        problem = summary_problem(shard)
        if problem is not None:
            return f"shard {number}: {problem}"
    if not all(map(_are_counts, manifest.splits.values())):
        return "a field is no whole number"
    return published_problem(manifest.published) or head_problem(manifest.head())


def entry_problem(entry: ShardEntry, *, is_ours: bool) -> str | None:
    """Return what cannot be in an entry; None when nothing is wrong.

    `is_ours` says that its shard has the layout that `tarbytes` makes.
    """
    problem = summary_problem(entry.summary)
    if problem is not None:
        return problem
    checks: tuple[Callable[[ShardEntry], str | None], ...] = (_lists, _names, _sizes, _positions)
    for check in checks:
        problem = check(entry)
        if problem is not None:
            return problem
    payload_bytes = sum(entry.sizes)
    if is_ours and ustar.file_bytes(payload_bytes) != entry.summary.size_bytes:
        return "its sample sizes do not add up to the shard's"
    if payload_bytes > entry.summary.size_bytes:
        return "its samples are larger than the shard"
    return None


def _lists(entry: ShardEntry) -> str | None:
    samples = len(entry.keys)
    lengths = {len(entry.positions), len(entry.sizes), len(entry.crcs)}
    if lengths != {samples} or len(entry.members) != samples * len(entry.extensions):
        return "its lists differ in length"
    return None


def _names(entry: ShardEntry) -> str | None:
    texts: tuple[Any, ...] = (*entry.extensions, *entry.keys, entry.fingerprint)
    if not all(isinstance(text, str) for text in texts):
        return "a name is no text"
    if not entry.extensions:  # a foreign layout: its names are not ours to judge
        return None
    longest = max(map(len, entry.keys)) + 1 + max(map(len, entry.extensions))
    if longest > ustar.MAX_NAME_BYTES or not "".join(texts).isascii() or "" in texts[:-1]:
        return "a name does not fit into a tar"
    return None


def _sizes(entry: ShardEntry) -> str | None:
    sizes = _numbers(entry.sizes)
    if (sizes % ustar.BLOCK_BYTES).any() or not sizes.all() or (sizes >= _MAX_COUNT).any():
        return "a sample's size is no whole number of blocks"
    if (_numbers(entry.crcs) >> np.uint64(32)).any():
        return "a CRC has more than 32 bits"
    if entry.extensions:
        contents = _numbers(entry.members).reshape(len(sizes), -1)
        if (contents > ustar.MAX_MEMBER_BYTES).any():
            return "a member is larger than a tar can hold"
        block = np.uint64(ustar.BLOCK_BYTES)
        blocks = np.uint64(1) + (contents + block - np.uint64(1)) // block
        if (blocks.sum(axis=1) * block != sizes).any():
            return "a sample's members do not add up to its size"
    return None


def _positions(entry: ShardEntry) -> str | None:
    positions = _numbers(entry.positions)
    if (positions[1:] <= positions[:-1]).any():
        return "its positions do not ascend"
    shard = entry.summary
    places = [rejected.position for rejected in entry.rejected]
    if not all(_is_count(place) and shard.start <= place < shard.stop for place in places):
        return "a rejected row is none of the shard's"
    return None


def _numbers(values: Any) -> Numbers:
    return np.frombuffer(values, np.uint64) if len(values) else np.zeros(0, np.uint64)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT


def _are_counts(totals: Totals) -> bool:
    values = (totals.rows, totals.samples, totals.rejected, totals.size_bytes, totals.shards)
    return all(map(_is_count, values))


MAX_DEPTH = 64
"""Lists and objects within one another; nobody has so many in earnest."""


_TEXTS = ("name", "fingerprint")


_LISTS = ("class_names", "series", "notes")


_OBJECTS = ("features", "recipe", "source", "versions", "place")


_FIELDS = ("format", "copies", *_TEXTS, *_LISTS, *_OBJECTS)


def head_problem(head: Mapping[str, Any]) -> str | None:
    """Return what has a form that no head has; None when nothing is wrong."""
    for name in _FIELDS:
        if name not in head:
            return f"it has no {name!r}"
        if not _fits(name, head[name]) or not _is_canonical(head[name], MAX_DEPTH):
            return f"{name!r} is none"
    max_pixels = head["recipe"].get("max_pixels")
    if max_pixels is not None and not _is_positive(max_pixels):
        return "the recipe's 'max_pixels' is no number of pixels"
    if not all(_is_dtype(dtype) for dtype in head["features"].values()):
        return "'features' has a type that there is not"
    return None


def published_problem(published: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a manifest's `published`; None when nothing is."""
    if not published:
        return None
    objects = (published.get("loaders"), published.get("receipts"))
    is_told = isinstance(published.get("at"), str) and all(isinstance(o, dict) for o in objects)
    receipts = objects[1].values() if isinstance(objects[1], dict) else ()
    if not is_told or not all(_is_object_of_texts(receipt) for receipt in receipts):
        return "'published' is none"
    return None if _is_canonical(dict(published), MAX_DEPTH) else "'published' is none"


def _is_object_of_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _fits(name: str, value: object) -> bool:
    """Return whether a field's value has the field's type."""
    if name in _TEXTS:
        return isinstance(value, str)
    if name in _LISTS:
        return (value is None and name == "class_names") or _are_texts(value)
    if name in _OBJECTS:
        return isinstance(value, dict)
    return _is_positive(value)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**63


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_canonical(value: object, depth: int) -> bool:
    """Return whether a value can be written as JSON, and be compared, without surprise."""
    if isinstance(value, float):
        return math.isfinite(value)
    if not isinstance(value, dict | list):
        return True
    items = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_canonical(item, depth - 1) for item in items)


def _is_dtype(dtype: object) -> bool:
    """Return whether a value is a dtype as columns.py describes them."""
    if not isinstance(dtype, dict):
        return isinstance(dtype, str)
    if len(dtype) != 1:
        return False
    ((kind, inner),) = dtype.items()
    if kind == "class_label":
        return _are_texts(inner)
    if kind == "struct":
        return isinstance(inner, dict) and all(_is_dtype(one) for one in inner.values())
    return kind == "list" and _is_dtype(inner)
