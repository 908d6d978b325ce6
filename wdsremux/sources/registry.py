"""From words to sources: the only file that knows every source."""

# ruff: noqa: PLC0415 (local imports keep each part out of the way of those who do not use it)

import os
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from wdsremux.core.errors import SourceError, UsageError
from wdsremux.core.image_formats import IMAGE_EXTENSIONS
from wdsremux.core.recipe import Recipe, Run
from wdsremux.sources.base import Source

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


def open_source(source: SourceLike, recipe: Recipe, run: Run) -> Source:
    """Open what the user named or gave. Raises SourceError or UsageError."""
    if not isinstance(source, str | os.PathLike):
        return _open_object(source, run)
    words = os.fspath(source)
    if not words:
        raise UsageError("SOURCE is empty; write . for the folder you are in")
    kind = recipe.source_kind or kind_of(words)
    try:
        return _OPENERS[kind](words, recipe, run)
    except PermissionError as exc:
        raise SourceError(f"cannot read {exc.filename or words!r}: {exc.strerror}") from exc


def _open_object(source: Any, run: Run) -> Source:
    from wdsremux.sources.rows.iterable import open_iterable

    if type(source).__module__.split(".")[0] == "datasets":
        from wdsremux.sources.hf_datasets.tables import open_dataset

        return open_dataset(source, run.give_up_after)
    if not isinstance(source, Iterable):
        raise UsageError(
            f"a source is a text, a datasets.Dataset or an iterable of dicts, "
            f"not {type(source).__name__}"
        )
    return open_iterable(source)


def _open_hub(words: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.hf_datasets.loadable import open_hub_stream
    from wdsremux.sources.hub.layout import hub_layout
    from wdsremux.sources.parquet.hub import open_hub
    from wdsremux.stores.hub.ranges import Access

    access = Access(run.give_up_after)
    layout = hub_layout(words, subset=recipe.subset, revision=recipe.revision, access=access)
    return open_hub(layout, access) if layout.is_parquet else open_hub_stream(layout, access)


def _open_parquet(words: str, recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.parquet.local import open_parquet

    root = Path(recipe.image_root) if recipe.image_root else None
    return open_parquet(words, subset=recipe.subset, image_root=root)


def _open_saved(words: str, recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.hf_datasets.tables import open_saved

    return open_saved(words, recipe.image_root)


def _open_folder(words: str, _recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.folder.source import open_folder

    return open_folder(words)


def _open_tars(words: str, _recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.tars.source import open_tars

    return open_tars(words)


def _open_demo(_words: str, _recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.demo import open_demo

    return open_demo()


def _open_loadable(words: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.hf_datasets.loadable import open_loadable

    return open_loadable(words, subset=recipe.subset, give_up_after_s=run.give_up_after)


_OPENERS: Mapping[str, Callable[[str, Recipe, Run], Source]] = {
    "hub": _open_hub,
    "parquet": _open_parquet,
    "saved": _open_saved,
    "folder": _open_folder,
    "tars": _open_tars,
    "demo": _open_demo,
    "loadable": _open_loadable,
}
