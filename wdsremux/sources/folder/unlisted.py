"""Counts the images that no table lists: with metadata, the rows of the table are the rows.

Holds eight bytes for each row. Short because only folders with tables need this second walk.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from wdsremux.core.option_values import counted
from wdsremux.sources.folder.metadata import SplitTable
from wdsremux.sources.folder.walk import walk
from wdsremux.sources.split_rules import Rule


def notes_on_unlisted(
    root: Path, rule: Rule, tables: Mapping[str, SplitTable], allowed: Sequence[Path]
) -> Iterator[str]:
    """Yield a note when images of splits with a table are not in it."""
    listed = np.unique(np.fromiter(_listed(tables), np.int64))
    missing, example = 0, ""
    for found in walk(root, allowed):
        splits = {rank.split for rank in found.ranks(rule)}
        if not found.is_metadata and splits & tables.keys() and not _has(listed, found.path):
            missing += 1
            example = example or found.path
    if missing:
        yield f"{counted(missing, 'image')} left out: not in the metadata, for example {example!r}"


def _listed(tables: Mapping[str, SplitTable]) -> Iterator[int]:
    for table in tables.values():
        for image in table.tables.images:
            for (path,), _ in table.entries([image]):
                yield hash(path)  # compared in this process only


def _has(listed: np.ndarray[tuple[int], np.dtype[np.int64]], path: str) -> bool:
    at = int(np.searchsorted(listed, hash(path)))
    return at < len(listed) and bool(listed[at] == hash(path))
