"""The index beside tars, ours or one of wids: what it tells of the shards."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class WidsIndex:
    """What a wids index beside the tars tells."""

    samples: Mapping[str, int]
    class_names: Mapping[str, Sequence[str]]


def read_wids_index(folder: Path) -> WidsIndex:
    """Read index.json; what does not have the expected form is as if it were not there."""
    try:
        index = json.loads((folder / "index.json").read_bytes())
        entries = [(Path(entry["url"]).name, entry["nsamples"]) for entry in index["shardlist"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return WidsIndex({}, {})
    samples = {name: n for name, n in entries if isinstance(n, int) and n >= 0}
    names = index.get("class_names")
    if _are_texts(names):
        names = {"label": names}
    if not isinstance(names, dict):
        names = {}
    return WidsIndex(samples, {str(k): v for k, v in names.items() if _are_texts(v)})


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)
