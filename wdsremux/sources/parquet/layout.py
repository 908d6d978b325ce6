"""Which Parquet files of a folder make which split, by the rules that `load_dataset` follows.

First rule that matches anything: `configs` of the dataset card; `data/{split}-NNNNN-of-NNNNN`;
folders named after a split; files named after a split; all files are "train". Within a split the
files come pattern by pattern, each pattern's in the plain order of their names: "train-10" stands
before "train-2", on the Hub and on any disk.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wdsremux.core.columns import Dtype
from wdsremux.core.errors import SourceError, UsageError
from wdsremux.sources.dtypes import dtypes_from_card
from wdsremux.sources.split_rules import Place, file_places, folder_places, numbered_places, ordered

Card = Mapping[str, Any]
"""The YAML head of a README.md."""

SplitFiles = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one subset."""

    subset: str
    splits: SplitFiles
    dtypes: Mapping[str, Dtype]
    """What the card declares of the columns."""


def card_from_folder(folder: Path) -> Card:
    """Return the YAML head of the folder's README.md; empty when there is none."""
    path = folder / "README.md"
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        return {}
    try:
        card = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
    except yaml.YAMLError as exc:
        raise SourceError(
            f"the head of {path.name!r} in {folder.name!r} is no YAML: mend or remove it ({exc})"
        ) from exc
    return card if isinstance(card, dict) else {}


def layout_from_names(names: Iterable[str], card: Card, subset: str | None) -> Layout:
    """Return the splits of the named subset among file names relative to the dataset's folder.

    Raises UsageError when the subset must be named or is not there, SourceError when no file fits.
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
            "mend them, or give the files themselves as a glob"
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
        raise UsageError(f"--subset {subset!r}: the source has {', '.join(by_name) or 'default'}")
    if by_name and name not in by_name:
        raise UsageError(
            f"the source has several subsets: {', '.join(by_name)}; choose one with --subset"
        )
    return by_name.get(name, {})


def _default_name(configs: Mapping[str, Any], infos: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of the subset that is meant when none is named; "" when none is."""
    defaults = [n for n, c in configs.items() if n == "default" or c.get("default")]
    if len(configs) == 1 or len(defaults) == 1:
        return (defaults or list(configs))[0]
    # A single description stands for the subset it describes.
    return str(infos[0].get("config_name", "")) if len(infos) == 1 and not defaults else ""


def _is_below(name: str, base: str) -> bool:
    return not base or name.startswith(f"{base}/")


def _patterns_from_config(data_files: Any) -> dict[str, list[str]]:
    """Return split -> patterns of a card's data_files: a text, a list of texts or of splits."""
    entries = data_files if isinstance(data_files, list) else [data_files]
    patterns: dict[str, list[str]] = {}
    for entry in entries:
        is_named = isinstance(entry, Mapping)
        split, path = (entry.get("split"), entry.get("path")) if is_named else ("train", entry)
        paths = path if isinstance(path, list) else [path]
        if not isinstance(split, str) or not all(isinstance(p, str) for p in paths):
            raise SourceError(f"data_files in README.md cannot be read: {entry!r}; mend the card")
        patterns.setdefault(split, []).extend(p.removeprefix("./") for p in paths)
    return patterns


def _refuse_missing(patterns: Mapping[str, Sequence[str]], names: Container[str]) -> None:
    """Refuse a card that names a file which is not there: leaving it out would lose rows."""
    for path in (p for paths in patterns.values() for p in paths):
        if not re.search(r"[*?\[]", path) and path not in names:
            raise SourceError(
                f"README.md names the data file {path!r}, which is no .parquet file here; "
                "bring the file or mend the card"
            )


def _by_names(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the files by split, by the first rule of names that any file fits."""
    shown = _matching(names, ["**"])
    for rule in (numbered_places, _folder_places, _file_places):
        found: dict[str, list[tuple[int, str]]] = {}
        for name in shown:
            for place in rule(*_folder_and_file(name)):
                found.setdefault(place.split, []).append((place.rank, name))
        if found:
            return {split: [name for _, name in sorted(found[split])] for split in ordered(found)}
    return {"train": shown}


def _folder_and_file(name: str) -> tuple[str, str]:
    folder, _, file = name.rpartition("/")
    return folder, file


def _folder_places(folder: str, _file: str) -> tuple[Place, ...]:
    return folder_places(folder)


def _file_places(_folder: str, file: str) -> tuple[Place, ...]:
    return file_places(file)


def _matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Return the names that fit, pattern by pattern, each name once."""
    names = sorted(names)
    found: dict[str, None] = {}
    for pattern in patterns:
        fits = regex_from_glob(pattern)
        hidden, special = _marked(pattern)
        found |= dict.fromkeys(
            n for n in names if fits.fullmatch(n) and _marked(n) == (hidden, special)
        )
    return list(found)


def _marked(path: str) -> tuple[int, int]:
    """Count what is skipped unless a pattern names it too: hidden parts, folders named __so__."""
    parts = path.split("/")
    hidden = sum(part.startswith(".") and part.strip(".") != "" for part in parts)
    return hidden, sum(part.startswith("__") for part in parts[:-1])


def regex_from_glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a glob: `*` stays within a folder, `**` is any folders."""
    parts = pattern.split("/")
    out = ""
    for i, part in enumerate(parts):
        is_last = i == len(parts) - 1
        if part == "**":
            out += ".*" if is_last else "(?:.+/)?"
            continue
        out += "[^/]+" if part == "*" else _regex_from_part(part)
        out += "" if is_last else "/"
    return re.compile(out, re.DOTALL)


def _regex_from_part(part: str) -> str:
    out = ""
    for sign in re.findall(r"\[[!^]?\]?[^\]]*\]|\*+|.", part, re.DOTALL):
        if len(sign) > 1 and sign[0] == "[":
            negated = sign[1] in "!^"
            inner = re.sub(r"([\\\[&~|^])", r"\\\1", sign[2 if negated else 1 : -1])
            out += f"[^/{inner}]" if negated else f"[{inner}]"
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(sign[0], re.escape(sign))
    return out
