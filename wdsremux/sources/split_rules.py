"""Which split a file belongs to, by its path: the rules of Hugging Face `datasets`.

The first rule that any file fits applies to all files, and files that it does not name are left
out (and reported): `data/NAME-00000-of-00001.*`, then a folder with a keyword, then a file name
with one, then all is "train". https://huggingface.co/docs/datasets/repository_structure

Two differences: a keyword is not a split when it would leave out most files, or when it is the only
one and does not name all of them (`bus/`, `car/` and `train/` are three classes); and folders such
as `Train/` and `TEST/` are splits, which `datasets` puts into one split, or leaves out.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

Rule = Literal["numbered", "folder", "file", "all"]

RULES: tuple[Rule, ...] = ("numbered", "folder", "file", "all")
"""In the order in which they are tried."""

KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""The splits that have keywords, in source order."""

_SEP = "[-._ 0-9]"
_FOLDER_FORMS = ("{0}", "{0}{1}.*", ".*{1}{0}", ".*{1}{0}{1}.*")
_FILE_FORMS = ("{0}{1}.*", ".*{1}{0}{1}.*")
_NUMBERED = re.compile(r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}.*\..*", re.DOTALL)


class SplitRank(NamedTuple):
    """Position of a file in the order of rows: in a split, after all files of lower ranks."""

    split: str
    rank: int


def _forms(forms: tuple[str, ...]) -> dict[str, tuple[re.Pattern[str], ...]]:
    return {
        split: tuple(
            re.compile(form.format(word, _SEP), re.DOTALL) for word in keywords for form in forms
        )
        for split, keywords in KEYWORDS.items()
    }


_FOLDERS = _forms(_FOLDER_FORMS)
_FILES = _forms(_FILE_FORMS)
_ANY_KEYWORD = re.compile("|".join(word for keywords in KEYWORDS.values() for word in keywords))


def _ranks(
    names: Iterable[str], forms: Mapping[str, tuple[re.Pattern[str], ...]]
) -> tuple[SplitRank, ...]:
    names = [name for name in names if _ANY_KEYWORD.search(name)]
    if not names:
        return ()
    found: list[SplitRank] = []
    for split, patterns in forms.items():
        for rank, pattern in enumerate(patterns):
            if any(pattern.fullmatch(name) for name in names):
                # `datasets` lists a file once for every pattern it fits; a row is a row only once.
                found.append(SplitRank(split, rank))
                break
    return tuple(found)


@lru_cache(maxsize=1024)
def folder_ranks(folder: str) -> tuple[SplitRank, ...]:
    """Return the ranks of the files in a folder, by the names on its path ("" is the root)."""
    return _ranks(folder.lower().split("/"), _FOLDERS) if folder else ()


def file_ranks(name: str) -> tuple[SplitRank, ...]:
    """Return the ranks of a file by its own name."""
    return _ranks((name,), _FILES)


def numbered_ranks(folder: str, name: str) -> tuple[SplitRank, ...]:
    """Return the rank of a file such as `data/train-00000-of-00002.jpg`."""
    match = _NUMBERED.fullmatch(name) if folder == "data" else None
    return (SplitRank(match[1], 0),) if match else ()


def applies(rule: Rule, splits: Collection[str], fitting: int, files: int) -> bool:
    """Return whether a rule applies that fits some of the files and finds these splits."""
    if rule in ("numbered", "all"):  # explicit names, and the rule that fits every file
        return fitting > 0
    return 0 < fitting == files or (len(splits) > 1 and 2 * fitting > files)


def ordered(splits: Iterable[str]) -> list[str]:
    """Return split names in source order: train, validation, test, then the others by name."""
    found = set(splits)
    return [s for s in KEYWORDS if s in found] + sorted(found - KEYWORDS.keys())


def split_of_file(name: str) -> str | None:
    """Return the split whose keyword comes first in a file name, None when it has none.

    For shards: a name with two keywords (`test-set-train-000000.tar`) must not put its rows in two
    splits.
    """
    keywords = "|".join(sorted((w for ws in KEYWORDS.values() for w in ws), key=len, reverse=True))
    match = re.search(f"(?:^|{_SEP})({keywords})(?={_SEP})", name)
    if match is None:
        return None
    return next(split for split, names in KEYWORDS.items() if match[1] in names)
