"""How many bytes the rows of a conversion take in the source, by what its identity records.

Short because the warning about the disk and the number of shards of lanes share this one rule.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from wdsremux.processing.tasks import RowRange, SeriesRows


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
