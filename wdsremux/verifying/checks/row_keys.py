"""Whether keys are unique because they are row numbers: then none of them needs to be registered.

A register of 10^7 keys took 84 % of the time of `verify --depth entries`.
Short because `own_dataset`, its one caller, would exceed 300 lines with it.
"""

from itertools import pairwise

from wdsremux.core.keys import key_from_position
from wdsremux.dataset.entry import ShardEntry


class RowKeys:
    """Sees every entry of a dataset once, and keeps only the rows of its shard."""

    def __init__(self, copies: int) -> None:
        self._copies = copies
        self._spans: list[tuple[int, int, int]] = []
        self._are_row_keys = True

    def add(self, entry: ShardEntry) -> None:
        """Compare the keys of an entry with its positions, which ascend."""
        shard = entry.summary
        suffix = f"-c{shard.copy}" if self._copies > 1 else ""
        expected = [key_from_position(position) + suffix for position in entry.positions]
        is_inside = shard.start <= entry.positions[0] and entry.positions[-1] < shard.stop
        self._are_row_keys = self._are_row_keys and is_inside and entry.keys == expected
        self._spans.append((shard.copy, shard.start, shard.stop))

    def are_unique(self) -> bool:
        """Return whether all keys are those of their rows, and no two shards share rows."""
        self._spans.sort()
        return self._are_row_keys and all(
            (copy, stop) <= (other_copy, other_start)
            for (copy, _, stop), (other_copy, other_start, _) in pairwise(self._spans)
        )
