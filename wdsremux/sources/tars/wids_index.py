"""The index.json beside tars, written by wdsremux or wids.

Short because the rules of this foreign format are apart from those of tars.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdsremux.core.manifest import INDEX_WRITER


@dataclass(frozen=True, slots=True)
class WidsIndex:
    """What a wids index beside the tars records."""

    listed: tuple[str, ...]
    """File names of all shards except those at a URL."""
    samples: Mapping[str, int]
    """By file name, the number of samples, where it is recorded."""
    class_names: Mapping[str, Sequence[str]]
    is_ours: bool = False
    """Whether the tars are the output of a conversion of wdsremux."""

    def missing(self, present: Collection[str]) -> list[str]:
        """Return the shards it lists that are not among the files present."""
        return [name for name in self.listed if name not in present]


def read_wids_index(folder: Path) -> WidsIndex:
    """Read index.json; one that does not have the expected form counts as absent."""
    try:
        index = json.loads((folder / "index.json").read_bytes())
        entries = [(entry["url"], entry.get("nsamples")) for entry in index["shardlist"]]
        listed = tuple(Path(url).name for url, _ in entries if "://" not in url)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return WidsIndex((), {}, {})
    samples = {Path(url).name: n for url, n in entries if isinstance(n, int) and n >= 0}
    names = index.get("class_names")
    if _are_strings(names):
        names = {"label": names}
    if not isinstance(names, dict):
        names = {}
    classes = {str(k): v for k, v in names.items() if _are_strings(v)}
    return WidsIndex(listed, samples, classes, _is_ours(index))


def _is_ours(index: Mapping[str, Any]) -> bool:
    recipe = index.get("recipe")
    is_converted = isinstance(recipe, dict) and recipe.get("writer") != INDEX_WRITER
    return index.get("info") == "made by wdsremux" and is_converted


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)
