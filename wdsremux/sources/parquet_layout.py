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

from wdsremux.columns import Dtype
from wdsremux.errors import SourceError, UsageError
from wdsremux.sources.feature_dtypes import dtypes_from_card

Card = Mapping[str, Any]
"""The YAML head of a README.md."""

SplitFiles = dict[str, tuple[str, ...]]

KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SHARDED = "data/{split}-" + "[0-9]" * 5 + "-of-" + "[0-9]" * 5 + "*.*"
_EDGE = "[-._ 0-9]"
_FOLDER_PATTERNS = ("**/{0}/**", "**/{0}{1}*/**", "**/*{1}{0}/**", "**/*{1}{0}{1}*/**")
_FILE_PATTERNS = ("**/{0}{1}*", "**/*{1}{0}{1}*")


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
    else:
        patterns = _default_patterns(list(inside))
    splits = {
        split: tuple(inside[n] for n in _matching(inside, each)) for split, each in patterns.items()
    }
    splits = {split: files for split, files in splits.items() if files}
    if not splits:
        raise SourceError(
            f"no .parquet file fits the data_files of subset {name!r} in README.md; "
            "mend them, or give the files themselves as a glob"
        )
    return Layout(name, splits, dtypes_of(card, name))


def dtypes_of(card: Card, subset: str) -> dict[str, Dtype]:
    """Return the column dtypes that a card declares for a subset."""
    infos = card.get("dataset_info")
    infos = [infos] if isinstance(infos, Mapping) else infos
    infos = [i for i in infos if isinstance(i, Mapping)] if isinstance(infos, list) else []
    for info in infos:
        if len(infos) == 1 or info.get("config_name", "default") == subset:
            return dtypes_from_card(info.get("features"))
    return {}


def _config(card: Card, subset: str | None) -> Mapping[str, Any]:
    listed = card.get("configs")
    configs = [c for c in listed if isinstance(c, Mapping)] if isinstance(listed, list) else []
    names = [str(c.get("config_name")) for c in configs] or ["default"]
    if subset is None:
        defaults = [
            c
            for c, name in zip(configs, names, strict=False)
            if len(configs) == 1 or name == "default" or c.get("default")
        ]
        if configs and len(defaults) != 1:
            raise UsageError(
                f"the source has several subsets: {', '.join(names)}; choose one with --subset"
            )
        return defaults[0] if defaults else {}
    if subset not in names:
        raise UsageError(f"--subset {subset!r}: the source has {', '.join(names)}")
    return configs[names.index(subset)] if configs else {}


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


def _default_patterns(names: Sequence[str]) -> dict[str, list[str]]:
    matching = _matching(names, [_SHARDED.replace("{split}", "*")])
    sharded = {re.split(r"-\d{5}-of-", n.removeprefix("data/"))[0] for n in matching}
    if sharded:
        order = [*(s for s in KEYWORDS if s in sharded), *sorted(sharded - set(KEYWORDS))]
        return {split: [_SHARDED.replace("{split}", split)] for split in order}
    for forms in (_FOLDER_PATTERNS, _FILE_PATTERNS):
        patterns = {
            split: [form.format(word, _EDGE) for word in words for form in forms]
            for split, words in KEYWORDS.items()
        }
        found = {split: each for split, each in patterns.items() if _matching(names, each)}
        if found:
            return found
    return {"train": ["**"]}


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
