"""Warns early when the output may not fit on the disk; never refuses to run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wdsremux.core.manifest import ShardSummary
from wdsremux.core.option_values import is_url, size
from wdsremux.processing.tasks import RowRange, SeriesRows
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


def source_bytes(
    identity: Mapping[str, Any], series: Sequence[SeriesRows], limit: int | None
) -> int | None:
    """Return about how many bytes the rows of a run take in the source, by its identity.

    None if it does not record the size of its files.
    """
    files, whole = identity.get("files"), identity.get("bytes")
    counts = [rows.rows for rows in series]
    rows = None if None in counts else sum(count for count in counts if count is not None)
    if isinstance(files, int) and isinstance(whole, int):  # a folder of images
        share = 1.0 if rows is None else min(rows, limit or rows) / max(1, files)
        return round(whole * min(1.0, share))
    if not isinstance(files, list):
        return None
    try:
        total = sum(_range_bytes(files, part) for rows in series for part in rows.ranges)
    except (KeyError, TypeError):
        return None
    return round(total * min(1.0, limit / rows) if limit is not None and rows else total)


def _range_bytes(files: Sequence[Mapping[str, Any]], part: RowRange) -> float:
    own = [file for file in files if file["split"] == part.split]
    whole = float(sum(file["bytes"] for file in own))
    rows = sum(int(file.get("rows", 0)) for file in own)
    if not rows or part.stop is None:
        return whole
    return whole * (part.stop - part.start) / rows


def free_at(location: str) -> int | None:
    """Return the free space at a folder that exists or would be made; None for a URL."""
    return None if is_url(location) else free_bytes(Path(location).expanduser())
