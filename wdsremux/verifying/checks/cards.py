"""Whether README.md tells `load_dataset` the truth about the shards beside it."""

from collections.abc import Mapping
from typing import Any

from wdsremux.core.manifest import Manifest
from wdsremux.dataset.card import CARD_NAME, card_bytes, is_ours
from wdsremux.stores.reading.untrusted import Folder
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector

MAX_CARD_BYTES = 1 << 20
MAX_NAME_CHARS = 1000
"""Of a split."""
MAX_VALUES = 1 << 23
"""In a card's YAML. Aliases of aliases stand for more than anybody can compare in a lifetime."""


def read_card(folder: Folder) -> bytes | None:
    """Return README.md; None when there is none that can be read."""
    try:
        return folder.read(CARD_NAME, MAX_CARD_BYTES)
    except OSError:
        return None


def card_header(card: bytes) -> Mapping[str, Any] | None:
    """Return the YAML at the beginning of a card; None when there is none."""
    import yaml  # noqa: PLC0415 (only a card needs it)

    begin, mark, rest = card.partition(b"---\n")
    header, end, _ = rest.partition(b"\n---")
    if begin.strip() or not mark or not end:
        return None
    try:
        loader = yaml.SafeLoader(header)
        node = loader.get_single_node()
        if node is None or _values_in(node, {}) > MAX_VALUES:
            return None
        value = loader.construct_document(node)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _values_in(node: Any, known: dict[int, int]) -> int:
    """Return how many values a YAML node stands for, each alias counted as what it repeats."""
    if isinstance(node.value, str):
        return 1
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_VALUES + 1  # as long as it is not counted: it may hold itself
    children = (
        child for item in node.value for child in (item if isinstance(item, tuple) else (item,))
    )
    known[id(node)] = 1 + sum(_values_in(child, known) for child in children)
    return known[id(node)]


def names_files(card: bytes | None) -> bool:
    """Return whether a card says which files are data, so that nothing beside them disturbs."""
    header = card_header(card) if card is not None else None
    configs = header.get("configs") if header is not None else None
    return isinstance(configs, list) and all(
        isinstance(config, dict) and config.get("data_files") for config in configs
    )


def check_card(folder: Folder, manifest: Manifest, found: Collector) -> None:
    """Compare the card of a converted dataset with its manifest."""
    card, made = read_card(folder), _card_of(manifest)
    if card is not None and card == made:
        return  # reading YAML takes longer than all the rest
    if card is None or not names_files(card):
        detail = "" if card is None else "it has no YAML that names the data files"
        found.take(Finding(Code.CARD_MISSING, CARD_NAME, detail=detail))
        return
    told, true = card_header(card), card_header(made) if made is not None else None
    if told is None or true is None:
        return
    if not is_ours(card):
        if _examples(told) - _examples(true):
            found.take(Finding(Code.CARD_STALE, CARD_NAME, detail="other numbers of examples"))
        return
    for name in ("configs", "dataset_info"):
        if told.get(name) != true[name]:
            found.take(Finding(Code.CARD_STALE, CARD_NAME, detail=f"{name!r} differs"))


def _card_of(manifest: Manifest) -> bytes | None:
    """Return the card that should be there; None for features that nobody wrote."""
    try:
        return card_bytes(manifest)
    except (LookupError, TypeError, AttributeError, ValueError, StopIteration, RecursionError):
        return None


def _examples(header: Mapping[str, Any]) -> set[tuple[str, int | None]]:
    """Return (split, examples) of every configuration that tells them; None for no number."""
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
