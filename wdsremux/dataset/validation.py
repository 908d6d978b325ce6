"""Checks that a manifest, a head or an entry read from an output is well-formed."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.head import is_canonical
from wdsremux.core.manifest import MANIFEST_NAME, Manifest, ShardSummary
from wdsremux.core.tar import ustar
from wdsremux.dataset.entry import ShardEntry

_SHA256 = re.compile(r"[0-9a-f]{64}")


_MAX_COUNT = 2**63


MAX_NAME_CHARS = 1024
"""Of shards and splits: longer names cost time to parse."""


Numbers = npt.NDArray[np.uint64]


def summary_problem(shard: ShardSummary) -> str | None:
    """Return what is invalid in a shard's summary; None for a valid one."""
    # The annotated types are not guaranteed here: the values were read from a file.
    strings: tuple[Any, ...] = (shard.name, shard.split, shard.sha256, shard.entry_sha256)
    is_last: Any = shard.is_last
    if not all(isinstance(value, str) for value in strings) or not isinstance(is_last, bool):
        return "a field has the wrong type"
    if max(map(len, strings)) > MAX_NAME_CHARS:
        return "a name is longer than a file name can be"
    numbers = (
        shard.copy, shard.number, shard.samples, shard.rejected, shard.size_bytes,
        shard.first_position, shard.last_position, shard.start, shard.stop, shard.expanded,
        shard.filtered,
    )  # fmt: skip
    if not all(_is_count(number) for number in numbers):
        return "a field is not a whole number"
    if not all(map(_SHA256.fullmatch, (shard.sha256, shard.entry_sha256 or shard.sha256))):
        return "a SHA-256 is malformed"
    if not shard.start <= shard.first_position <= shard.last_position < shard.stop:
        return "its positions are not in order"
    return None


def validated_manifest(data: bytes) -> Manifest:
    """Read a manifest and validate it. Raises CorruptDataError."""
    try:
        manifest = Manifest.from_bytes(data)
        problem = manifest_problem(manifest)
    except RecursionError as exc:
        raise CorruptDataError(f"cannot read {MANIFEST_NAME!r}: {exc}") from exc
    if problem is not None:
        raise CorruptDataError(f"cannot read {MANIFEST_NAME!r}: {problem}")
    return manifest


def manifest_problem(manifest: Manifest) -> str | None:
    """Return what is malformed in a manifest; None for a valid one."""
    for number, shard in enumerate(manifest.shards):
        problem = summary_problem(shard)
        if problem is not None:
            return f"shard {number}: {problem}"
    return published_problem(manifest.published)


def entry_problem(entry: ShardEntry, *, is_ours: bool) -> str | None:
    """Return what is invalid in an entry; None for a valid one.

    `is_ours` says that its shard has the layout that `ustar` makes.
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
    strings: tuple[Any, ...] = (*entry.extensions, *entry.keys, entry.fingerprint)
    if not all(isinstance(value, str) for value in strings):
        return "a name is not a string"
    if not entry.extensions:  # a foreign layout may have any names
        return None
    longest = max(map(len, entry.keys)) + 1 + max(map(len, entry.extensions))
    if longest > ustar.MAX_NAME_BYTES or not "".join(strings).isascii() or "" in strings[:-1]:
        return "a name does not fit into a tar"
    return None


def _sizes(entry: ShardEntry) -> str | None:
    sizes = _numbers(entry.sizes)
    if (sizes % ustar.BLOCK_BYTES).any() or not sizes.all() or (sizes >= _MAX_COUNT).any():
        return "a sample's size is not a whole number of blocks"
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
    repeated = int((positions[1:] == positions[:-1]).sum())
    if (positions[1:] < positions[:-1]).any() or repeated > entry.summary.expanded:
        return "its positions do not ascend"
    shard = entry.summary
    rows = [rejected.position for rejected in entry.rejected]
    if not all(_is_count(row) and shard.start <= row < shard.stop for row in rows):
        return "a rejected row is outside of the shard's rows"
    filtered = sum(rejected.stage == "filter" for rejected in entry.rejected)
    # Entries that are older than `filtered` count all as rejected.
    return None if shard.filtered in (0, filtered) else "its filtered rows are miscounted"


def _numbers(values: Any) -> Numbers:
    return np.frombuffer(values, np.uint64) if len(values) else np.zeros(0, np.uint64)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT


def published_problem(published: Mapping[str, Any]) -> str | None:
    """Return what is malformed in a manifest's `published`; None for a valid one."""
    if not published:
        return None
    objects = (published.get("loaders"), published.get("receipts"))
    is_sound = isinstance(published.get("at"), str) and all(isinstance(o, dict) for o in objects)
    receipts = objects[1].values() if isinstance(objects[1], dict) else ()
    if not is_sound or not all(_is_object_of_strings(receipt) for receipt in receipts):
        return "'published' is malformed"
    return None if is_canonical(dict(published)) else "'published' is malformed"


def _is_object_of_strings(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
