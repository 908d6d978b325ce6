"""Who made a dataset: wdsremux, finished or not, or other tools.

Short because `verify`, `index` and the reader of outputs share it.
"""

import json
import re
from typing import Any, Literal

from wdsremux.core.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, STATE_FOLDER
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.stores.reading.untrusted import Folder

Owner = Literal["ours", "others", "none"]

_TAR_NAME = re.compile(r"\.(?:tar|tar\.(?:gz|bz2|xz|zst|lz4|lzma|z)|tgz|tbz2|txz)$", re.IGNORECASE)
"""A compressed tar counts: the finding says what to do with it."""


def owner_of(folder: Folder) -> Owner:
    """Return who made the dataset in a folder; "none" when there is none."""
    names = {item.name for item in folder.items()}
    index = _index(folder) if MANIFEST_NAME in names else None
    if isinstance(index, dict) and "fingerprint" in index and "recipe" in index:
        return "ours"
    if _has_state(folder):
        return "ours"
    is_wids = isinstance(index, dict) and "shardlist" in index
    has_tar = any(_TAR_NAME.search(item.base) for item in folder.tree())
    return "others" if is_wids or has_tar else "none"


def _index(folder: Folder) -> Any:
    try:
        return json.loads(folder.read(MANIFEST_NAME, MAX_MANIFEST_BYTES) or b"")
    except (OSError, ValueError, RecursionError):
        return None


def _has_state(folder: Folder) -> bool:
    try:
        names = [item.name for item in folder.items(STATE_FOLDER)]
    except OSError:
        return False
    return any(name == RECIPE_NAME or name.endswith(".msgpack") for name in names)
