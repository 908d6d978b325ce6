"""Loads the folders that `save_to_disk` wrote; `datasets` fails on a split without rows.

Short because `tables`, its one caller, would exceed 300 lines with it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wdsremux.core.errors import SourceError
from wdsremux.core.paths import is_file


def load_saved(root: Path, name: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return the table by the folder it is in ("." for the root), and the splits without rows.

    Raises SourceError.
    """
    import datasets  # noqa: PLC0415 (takes a second or two, and brings pandas)

    empty: list[str] = []
    try:
        folders = _folders(root)
        empty = [each for each in folders if not _has_files(root / each)]
        tables = {
            each: datasets.load_from_disk(str(root / each)) for each in folders if each not in empty
        }
    except Exception as exc:
        raise SourceError(
            f"{name!r} is not a dataset written by save_to_disk: {exc}; check the path, or save "
            "it again"
        ) from exc
    if not tables:
        what = "rows" if empty else "splits"
        raise SourceError(
            f"the saved dataset {name!r} has no {what}; pass a folder that has {what}"
        )
    return tables, tuple(empty)


def _folders(root: Path) -> list[str]:
    """Return the folders of the splits, "." for a dataset without splits."""
    listing = root / "dataset_dict.json"
    if not is_file(listing):
        return ["."]
    splits = list(json.loads(listing.read_text())["splits"])
    bad = next((each for each in splits if Path(each).name != each), None)
    if bad is not None:
        raise ValueError(f"a split cannot be called {bad!r}; rename it")
    return splits


def _has_files(folder: Path) -> bool:
    return bool(table_files(folder))


def table_files(folder: Path) -> list[Path]:
    """Return the files of rows that the state of a saved table lists. Raises ValueError, OSError.

    Their names are untrusted: only the last part of each is used.
    """
    state = json.loads((folder / "state.json").read_text())
    return [folder / Path(each["filename"]).name for each in state["_data_files"]]
