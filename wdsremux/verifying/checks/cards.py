"""Checks that README.md describes the shards beside it correctly for `load_dataset`."""

from collections.abc import Mapping
from typing import Any

from wdsremux.core.front_matter import front_matter
from wdsremux.core.manifest import Manifest
from wdsremux.dataset.card import CARD_NAME, KEY_FEATURE, card_bytes, is_ours
from wdsremux.stores.reading.untrusted import Folder
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector

MAX_CARD_BYTES = 1 << 20
MAX_NAME_CHARS = 1000
"""Of a split."""


def read_card(folder: Folder) -> bytes | None:
    """Return README.md; None when it is missing or unreadable."""
    try:
        return folder.read(CARD_NAME, MAX_CARD_BYTES)
    except OSError:
        return None


def _metadata(card: bytes) -> Mapping[str, Any] | None:
    """Return the front matter of a card; None when there is none that can be read."""
    try:
        return front_matter(card)
    except ValueError:
        return None


def names_files(card: bytes | None) -> bool:
    """Return whether a card lists the data files, so that files beside them are ignored."""
    header = _metadata(card) if card is not None else None
    configs = header.get("configs") if header is not None else None
    return isinstance(configs, list) and all(
        isinstance(config, dict) and config.get("data_files") for config in configs
    )


def check_card(folder: Folder, manifest: Manifest, found: Collector) -> None:
    """Compare the card of a converted dataset with its manifest."""
    card, made = read_card(folder), _card_of(manifest)
    if card is not None and card == made:
        return  # parsing YAML takes longer than all other checks
    if card is None or not names_files(card):
        detail = "" if card is None else "it has no YAML that names the data files"
        found.take(Finding(Code.CARD_MISSING, CARD_NAME, detail=detail))
        return
    stated, correct = _metadata(card), _metadata(made) if made is not None else None
    if stated is None or correct is None:
        return
    if not is_ours(card):
        if _examples(stated) - _examples(correct):
            found.take(Finding(Code.CARD_STALE, CARD_NAME, detail="other numbers of examples"))
        return
    for name in ("configs", "dataset_info"):
        if _without_key(stated.get(name)) != _without_key(correct[name]):
            found.take(Finding(Code.CARD_STALE, CARD_NAME, detail=f"{name!r} differs"))


def _without_key(value: Any) -> Any:
    """Return a part of a card without the column of keys, which older cards do not list."""
    if isinstance(value, dict):
        return {name: _without_key(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_key(item) for item in value if item != KEY_FEATURE]
    return value


def _card_of(manifest: Manifest) -> bytes | None:
    """Return the card that should be there; None for malformed features."""
    try:
        return card_bytes(manifest)
    except (LookupError, TypeError, AttributeError, ValueError, StopIteration, RecursionError):
        return None


def _examples(header: Mapping[str, Any]) -> set[tuple[str, int | None]]:
    """Return (split, examples) of every configuration; None for a malformed number."""
    infos = header.get("dataset_info")
    found = set()
    for info in infos if isinstance(infos, list) else [infos]:
        splits = info.get("splits") if isinstance(info, dict) else None
        for split in splits if isinstance(splits, list) else ():
            if isinstance(split, dict) and "num_examples" in split:
                found.add((_name_of(split), _count_of(split)))
    return found


def _name_of(split: Mapping[str, Any]) -> str:
    name = split.get("name")
    return name if isinstance(name, str) and len(name) <= MAX_NAME_CHARS else ""


def _count_of(split: Mapping[str, Any]) -> int | None:
    count = split["num_examples"]
    return count if isinstance(count, int) and not isinstance(count, bool) else None
