"""The shards of a dataset to read, and what is recorded of each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import Any

from wdsremux.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTask:
    """One shard that exists, and what is recorded of it."""

    name: str
    size_bytes: int
    """Of the file."""
    recorded_bytes: int | None = None
    """None for a shard of another tool."""
    manifest_sum: str | None = None
    """SHA-256 by the manifest."""
    entry_sum: str | None = None
    """SHA-256 by the entry."""
    md5: str | None = None
    """By a wids index of another tool."""
    samples: int | None = None
    has_entry: bool = False
    receipt: Mapping[str, str] = field(default_factory=dict)
    """What the store reported of the shard when it was uploaded."""

    @property
    def sums(self) -> tuple[str, ...]:
        """The recorded SHA-256 sums: one, where manifest and entry agree."""
        sums = (self.manifest_sum, self.entry_sum)
        return tuple(dict.fromkeys(one for one in sums if one is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPlan:
    """A dataset as its folder, manifest and entries describe it."""

    tasks: tuple[ShardTask, ...]
    shards: int
    """Shards that the dataset should have."""
    is_ours: bool
    """Whether the shards have the layout that `ustar` makes."""
    features: Mapping[str, Any] = field(default_factory=dict)
    """As in the manifest; empty when they are unknown."""
    max_pixels: int | None = None
    index_sums: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the indexes for other loaders, by the names of their files."""

    def names_by_sum(self) -> dict[str, str]:
        """Return the names of the shards by their recorded SHA-256."""
        return {one: task.name for task in self.tasks for one in task.sums}


def subset_of(tasks: Sequence[ShardTask], subset: str | None) -> tuple[ShardTask, ...]:
    """Return the shards of a subset, the same on every call.

    "2/20" is the second of twenty parts (every 20th shard, from the second on): twenty runs cover
    all. "5%" is that share of all shards, rounded up, evenly spread. Raises UsageError.
    """
    if subset is None:
        return tuple(tasks)
    match = re.fullmatch(r"\s*(?:(\d{1,9})\s*/\s*(\d{1,9})|(\d{1,3}(?:\.\d{1,9})?)\s*%)\s*", subset)
    if match is not None and match[3] is None:
        part, parts = int(match[1]), int(match[2])
        if 1 <= part <= parts:
            return tuple(tasks[part - 1 :: parts])
    if match is not None and match[3] is not None:
        share = Fraction(match[3]) / 100
        if 0 < share <= 1:
            return _spread(tasks, share)
    raise UsageError(
        f"--subset {subset!r} is not a valid subset; write 1/20 (the first of 20 parts) or 5%"
    )


def _spread(tasks: Sequence[ShardTask], share: Fraction) -> tuple[ShardTask, ...]:
    chosen = ceil(len(tasks) * share)
    return tuple(tasks[floor(Fraction(i * len(tasks), chosen))] for i in range(chosen))
