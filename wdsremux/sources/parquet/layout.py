"""Which Parquet files of a folder form which split, by the rules that `load_dataset` follows.

First rule that matches anything: `configs` of the dataset card; `data/{split}-NNNNN-of-NNNNN`;
folders named after a split; files named after a split; all files are "train". Within a split the
files come pattern by pattern, each pattern's in the plain order of their names: "train-10" is
before "train-2", on the Hub and on any disk.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Dtype
from wdsremux.core.errors import SourceError, UsageError
from wdsremux.core.front_matter import front_matter
from wdsremux.core.paths import is_file
from wdsremux.sources.dtypes import dtypes_from_card
from wdsremux.sources.split_rules import (
    Rule,
    SplitRank,
    applies,
    file_ranks,
    folder_ranks,
    numbered_ranks,
    ordered,
)

Card = Mapping[str, Any]
"""The YAML front matter of a README.md."""

SplitFiles = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one subset."""

    subset: str
    splits: SplitFiles
    dtypes: Mapping[str, Dtype]
    """What the card declares of the columns."""


def card_from_folder(folder: Path) -> Card:
    """Return the YAML front matter of the folder's README.md; empty when there is none."""
    path = folder / "README.md"
    if not is_file(path):
        return {}
    try:
        card = front_matter(path.read_text(encoding="utf-8", errors="replace").encode())
    except ValueError as exc:
        raise SourceError(
            f"the front matter of {path.name!r} in {folder.name!r} is not valid YAML; fix or "
            f"remove it ({exc})"
        ) from exc
    return card or {}


def layout_from_names(names: Iterable[str], card: Card, subset: str | None) -> Layout:
    """Return the splits of the named subset among file names relative to the dataset's folder.

    Raises UsageError when the subset must be named or does not exist, SourceError when no file
    fits.
    """
    found = sorted(name for name in names if name.endswith(".parquet"))
    config = _config(card, subset)
    name = str(config.get("config_name", "default"))
    base = str(config.get("data_dir") or "").strip("/")
    inside = {n.removeprefix(f"{base}/" if base else ""): n for n in found if _is_below(n, base)}
    if "data_files" in config:
        patterns = _patterns_from_config(config["data_files"])
        _refuse_missing(patterns, inside)
        matching = {split: _matching(inside, each) for split, each in patterns.items()}
    else:
        matching = _by_names(inside)
    splits = {split: tuple(inside[n] for n in each) for split, each in matching.items() if each}
    if not splits:
        raise SourceError(
            f"no .parquet file fits the data_files of subset {name!r} in README.md; "
            "fix them, or pass the files as a glob"
        )
    return Layout(name, splits, dtypes_of(card, name))


def dtypes_of(card: Card, subset: str) -> dict[str, Dtype]:
    """Return the column dtypes that a card declares for a subset."""
    infos = _infos(card)
    for info in infos:
        if len(infos) == 1 or info.get("config_name", "default") == subset:
            return dtypes_from_card(info.get("features"))
    return {}


def _infos(card: Card) -> list[Mapping[str, Any]]:
    infos = card.get("dataset_info")
    infos = [infos] if isinstance(infos, Mapping) else infos
    return [i for i in infos if isinstance(i, Mapping)] if isinstance(infos, list) else []


def _config(card: Card, subset: str | None) -> Mapping[str, Any]:
    listed = card.get("configs")
    configs = [c for c in listed if isinstance(c, Mapping)] if isinstance(listed, list) else []
    by_name = {str(c.get("config_name")): c for c in configs}
    name = subset or _default_name(by_name, _infos(card))
    if subset and subset not in (by_name or ("default",)):
        raise UsageError(
            f"--subset {subset!r}: the source has the subsets {', '.join(by_name) or 'default'}"
        )
    if by_name and name not in by_name:
        raise UsageError(
            f"the source has several subsets: {', '.join(by_name)}; choose one with --subset"
        )
    return by_name.get(name, {})


def _default_name(configs: Mapping[str, Any], infos: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of the default subset; "" when there is none."""
    defaults = [n for n, c in configs.items() if n == "default" or c.get("default")]
    if len(configs) == 1 or len(defaults) == 1:
        return (defaults or list(configs))[0]
    # A single description applies to the subset it describes.
    return str(infos[0].get("config_name", "")) if len(infos) == 1 and not defaults else ""


def _is_below(name: str, base: str) -> bool:
    return not base or name.startswith(f"{base}/")


def _patterns_from_config(data_files: Any) -> dict[str, list[str]]:
    """Return split -> patterns of a card's data_files: a string, or a list of strings or splits."""
    entries = data_files if isinstance(data_files, list) else [data_files]
    patterns: dict[str, list[str]] = {}
    for entry in entries:
        is_named = isinstance(entry, Mapping)
        split, path = (entry.get("split"), entry.get("path")) if is_named else ("train", entry)
        paths = path if isinstance(path, list) else [path]
        if not isinstance(split, str) or not all(isinstance(p, str) for p in paths):
            raise SourceError(f"data_files in README.md is not valid: {entry!r}; fix the card")
        patterns.setdefault(split, []).extend(p.removeprefix("./") for p in paths)
    return patterns


def _refuse_missing(patterns: Mapping[str, Sequence[str]], names: Container[str]) -> None:
    """Refuse a card that names a missing file: leaving it out would lose rows."""
    for path in (p for paths in patterns.values() for p in paths):
        if not re.search(r"[*?\[]", path) and path not in names:
            raise SourceError(
                f"README.md names the data file {path!r}, which is missing or not a .parquet file; "
                "add the file or fix the card"
            )


def _by_names(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the files by split, by the first rule of names that any file fits."""
    shown = [name for name in sorted(names) if _marked(name) == (0, 0)]
    for rule, ranks_of in _RANKS.items():
        found: dict[str, list[tuple[int, str]]] = {}
        for name in shown:
            for rank in ranks_of(*_folder_and_file(name)):
                found.setdefault(rank.split, []).append((rank.rank, name))
        fitting = {name for each in found.values() for _, name in each}
        if applies(rule, found, len(fitting), len(shown)):
            return {split: [name for _, name in sorted(found[split])] for split in ordered(found)}
    return {"train": shown}


def _folder_and_file(name: str) -> tuple[str, str]:
    folder, _, file = name.rpartition("/")
    return folder, file


def _ranks_by_folder(folder: str, _file: str) -> tuple[SplitRank, ...]:
    return folder_ranks(folder)


def _ranks_by_file(_folder: str, file: str) -> tuple[SplitRank, ...]:
    return file_ranks(file)


_RANKS: Mapping[Rule, Callable[[str, str], tuple[SplitRank, ...]]] = {
    "numbered": numbered_ranks,
    "folder": _ranks_by_folder,
    "file": _ranks_by_file,
}


def _matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Return the names that fit, pattern by pattern, each name once."""
    names = sorted(names)
    found: dict[str, None] = {}
    for pattern in patterns:
        fits = _compiled(pattern)
        hidden, special = _marked(pattern)
        found |= dict.fromkeys(
            n for n in names if fits.fullmatch(n) and _marked(n) == (hidden, special)
        )
    return list(found)


def _marked(path: str) -> tuple[int, int]:
    """Count parts that only an explicit pattern matches: hidden ones, and folders named __x__."""
    parts = path.split("/")
    hidden = sum(part.startswith(".") and part.strip(".") != "" for part in parts)
    return hidden, sum(part.startswith("__") for part in parts[:-1])


def _compiled(pattern: str) -> re.Pattern[str]:
    from fsspec.utils import glob_translate  # noqa: PLC0415 (heavy, and few cards have patterns)

    try:
        return re.compile(glob_translate(pattern))
    except ValueError as exc:
        raise SourceError(
            f"data_files in README.md has an invalid pattern {pattern!r}: {exc}; fix the card"
        ) from exc
