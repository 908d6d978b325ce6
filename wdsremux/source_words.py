"""What the words name that a user gave for a source; nothing is opened."""

import os
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from wdsremux.errors import SourceError, UsageError
from wdsremux.recipe import Recipe
from wdsremux.sources.image_names import IMAGE_EXTENSIONS
from wdsremux.values import is_url

DEMO = "demo:"
HUB = "hf://datasets/"
GLOB = re.compile(r"[*?\[{]")
REPO_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
HUB_PAGE = re.compile(r"https?://(?:www\.)?huggingface\.co/datasets/([\w-][\w.-]*/[\w-][\w.-]*)")
KIND_ADVICE = "check the spelling, or say what it is with --source-kind"
SAVED_FILES = ("dataset_dict.json", "state.json")
"""What `save_to_disk` leaves in its folder."""
LOOKED_AT = 10_000
"""Files of a folder that are looked at to tell what it holds."""
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".arrow", ".zip")
"""Files that only `load_dataset` knows how to read."""

SourceLike = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
"""What `convert` takes for a source."""


def refuse_own_source(source: SourceLike, out: str | os.PathLike[str]) -> None:
    """Refuse an output in the folder of the source: shards would mix with what they are of.

    In a folder that is the source every file counts, also those in folders within it. Where files
    are named, the output may be another folder beside them.
    """
    if not os.fspath(out):
        raise UsageError("OUT is empty; write . for the folder you are in")
    if not isinstance(source, str | os.PathLike) or not os.fspath(source):
        return
    path = Path(source).expanduser()
    folder = path if path.is_dir() else path.parent
    target = Path(out).expanduser()
    is_named = path.exists() or GLOB.search(path.name)
    if is_named and folder.is_dir() and target.is_dir() and folder.samefile(target):
        raise UsageError(f"OUT {str(out)!r} is where the source lies; choose another folder")
    if path.is_dir() and not is_url(out) and path.resolve() in target.resolve().parents:
        raise UsageError(
            f"OUT {str(out)!r} lies within the source {str(source)!r}: shards would mix with what "
            "they are made of; choose a folder beside it"
        )


def asks_hub(source: SourceLike, recipe: Recipe) -> bool:
    """Return whether words that may be a mistyped path are taken for a dataset on the Hub."""
    is_id = isinstance(source, str) and REPO_ID.fullmatch(source) and not recipe.source_kind
    return bool(is_id) and kind_of(str(source)) == "hub"


def without_revision(source: SourceLike) -> SourceLike:
    """Return a source without the revision that a Hub dataset's words may name."""
    is_hub = isinstance(source, str) and source.startswith(HUB)
    return str(source).partition("@")[0] if is_hub else source


def kind_of(words: str) -> str:
    """Tell what a source is by its name and by what lies there."""
    if words == DEMO:
        return "demo"
    if words.startswith(HUB):
        return "hub"
    path = Path(words).expanduser()
    if path.is_dir():
        return _kind_of_folder(path)
    for suffix, kind in ((".tar", "tars"), (".parquet", "parquet")):
        if words.endswith(suffix):
            return kind
    if path.is_file():
        return "loadable"
    if REPO_ID.fullmatch(words):
        return "hub"
    raise SourceError(
        f"{words!r} is no file or folder, and no dataset ID such as user/name; {_instead_of(words)}"
    )


def _instead_of(words: str) -> str:
    """Tell what to write instead of a source that is nothing as it stands."""
    if words == DEMO.removesuffix(":"):
        return f"the demo is {DEMO}"
    page = HUB_PAGE.match(words)
    if page is not None:
        return f"write {page[1]}"
    repo, at, revision = words.partition("@")
    if at and REPO_ID.fullmatch(repo):
        return f"write {repo} --revision {revision}, or {HUB}{words}"
    return KIND_ADVICE


def _kind_of_folder(path: Path) -> str:
    if any((path / name).is_file() for name in SAVED_FILES):
        return "saved"
    if next(path.glob("*.tar"), None) is not None:
        return "tars"
    suffixes = {Path(name).suffix.lower() for name in _file_names(path)}
    if ".parquet" in suffixes:
        return "parquet"
    if {suffix[1:] for suffix in suffixes} & IMAGE_EXTENSIONS and not _has_table(path):
        return "folder"
    return "loadable"


def _file_names(path: Path) -> Iterable[str]:
    return islice((name for _, _, names in os.walk(path) for name in sorted(names)), LOOKED_AT)


def _has_table(path: Path) -> bool:
    """Return whether a table lies at the top that is not the metadata of an image folder."""
    return any(
        entry.suffix.lower() in TABLES and entry.stem != "metadata"
        for entry in path.iterdir()
        if entry.is_file() and not entry.name.startswith(".")
    )


def name_of(source: SourceLike) -> str:
    """Return what the dataset is called: the last part of the source's name."""
    if not isinstance(source, str | os.PathLike):
        return "dataset"
    name = re.split(r"[/\\]", os.fspath(source).rstrip("/:").split("@")[0])[-1]
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "dataset"
