"""Warns early when the output may not fit on the disk; never refuses to run."""

from pathlib import Path

from wdsremux.core.manifest import ShardSummary
from wdsremux.core.option_values import is_url, size
from wdsremux.stores.base import Store
from wdsremux.stores.folder.disk_errors import free_bytes

ANYWAY = "if it fills up, finished shards are kept and the same command resumes"


class SpaceWatch:
    """Compares what is still to be written with the free space, and warns once."""

    def __init__(
        self, store: Store, rows: int | None, copies: int, source_bytes: int | None
    ) -> None:
        """`rows` and `source_bytes` are those of the whole run, None if unknown."""
        self._store = store
        self._row_copies = None if rows is None else rows * copies
        self._copies = copies
        self._source_bytes = source_bytes
        self._made_bytes = self._made_row_copies = 0
        self._has_warned = False

    def add(self, shard: ShardSummary) -> None:
        """Take a finished shard into account."""
        self._made_bytes += shard.size_bytes
        self._made_row_copies += shard.stop - shard.start

    def warning(self) -> str | None:
        """Return a new warning, if there is one."""
        needed, free = self._needed_bytes(), self._store.free_bytes()
        if self._has_warned or needed is None or free is None or needed <= free:
            return None
        self._has_warned = True
        if self._made_row_copies:
            return (
                f"the disk will fill up: the rest takes about {size(needed)}, and {size(free)} is "
                f"free; {ANYWAY}"
            )
        copies = f" (times {self._copies} copies)" if self._copies > 1 else ""
        return (
            f"the disk may fill up: the rows take {size(self._source_bytes or 0)} in the source"
            f"{copies} and {size(free)} is free; steps that shrink images need less; {ANYWAY}"
        )

    def _needed_bytes(self) -> int | None:
        if self._made_row_copies and self._row_copies is not None:
            left = max(0, self._row_copies - self._made_row_copies)
            return self._made_bytes * left // self._made_row_copies
        if self._made_row_copies or self._source_bytes is None:
            return None
        return self._source_bytes * self._copies


def free_at(location: str) -> int | None:
    """Return the free space at a folder that exists or would be made; None for a URL."""
    return None if is_url(location) else free_bytes(Path(location).expanduser())
