"""The sources: a string or an object, and the reader that opens it.

The only file that knows every source.
"""

# ruff: noqa: PLC0415 (a local import keeps a source out of runs that do not use it)

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wdsremux.core.errors import SourceError, StoreError, UsageError, system_errors_as
from wdsremux.core.option_values import is_url
from wdsremux.core.paths import exists, is_folder
from wdsremux.core.recipe import Recipe, Run
from wdsremux.sources.base import Source
from wdsremux.sources.kinds import GLOB, REPO_ID, dataset_name, kind_of, without_page

SourceLike = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
"""What `convert` accepts as a source."""

_NOT_PATHS = ("hub", "demo")
"""Kinds whose location is not a path."""


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A source that is recognised but not open; made by `parse`."""

    source: SourceLike
    """What the user passed."""
    kind: str
    """One of `recipe.KINDS`, or "object" for a Python object."""
    name: str
    """Name of the dataset: the last part of its location."""
    is_guess: bool = False
    """Whether a string that may be a mistyped path is taken for a dataset ID of the Hub."""

    @property
    def location(self) -> str | None:
        """The source as a string; None for a Python object."""
        return os.fspath(self.source) if isinstance(self.source, str | os.PathLike) else None

    def open(self, recipe: Recipe, run: Run) -> Source:
        """Open the source. Raises SourceError or UsageError."""
        if self.location is None:
            return _open_object(self.source, recipe, run)
        # Absolute: the user's code may change the working directory.
        location = self.location if self.kind in _NOT_PATHS else _absolute(self.location)
        if recipe.image_root and not is_url(recipe.image_root):
            recipe = replace(recipe, image_root=_absolute(recipe.image_root))
        with system_errors_as(SourceError, "read", self.location):
            return _OPENERS[self.kind](location, recipe, run)

    def without_revision(self) -> "SourceRef":
        """Return the reference without the revision in a dataset ID."""
        if self.kind != "hub" or self.location is None:
            return self
        return replace(self, source=self.location.partition("@")[0])

    def refuse_output(self, out: str | os.PathLike[str]) -> None:
        """Refuse an output inside the source: shards would mix with the files they are made of.

        In a folder that is the source every file counts, also those in its subfolders. Where files
        are named, the output may be another folder beside them. Raises UsageError.
        """
        if not os.fspath(out):
            raise UsageError("OUT is empty; write . for the current folder")
        if self.location is None:
            return
        path, folder = Path(self.location).expanduser(), Path(out).expanduser()
        with system_errors_as(SourceError, "read", self.location):
            is_whole = is_folder(path)
            parent = path if is_whole else path.parent
            is_local = exists(path) or GLOB.search(path.name)
            is_in_folder = is_local and is_folder(parent)
        with system_errors_as(StoreError, "write", out):
            if is_in_folder and is_folder(folder) and parent.samefile(folder):
                raise UsageError(
                    f"OUT {str(out)!r} is the folder of the source; choose another folder"
                )
            below = is_whole and not is_url(out) and path.resolve() in folder.resolve().parents
        if below:
            raise UsageError(
                f"OUT {str(out)!r} is inside the source {self.location!r}: shards would mix with "
                "the files they are made of; choose a folder beside it"
            )


def parse(source: SourceLike | SourceRef, recipe: Recipe) -> SourceRef:
    """Recognise a source by its name and files. Raises SourceError or UsageError."""
    if isinstance(source, SourceRef):
        return source
    if not isinstance(source, str | os.PathLike):
        return SourceRef(source, "object", "dataset")
    location = os.fspath(source)
    if not location:
        raise UsageError("SOURCE is empty; write . for the current folder")
    if recipe.source_kind in (None, "hub"):
        location = without_page(location)
    with system_errors_as(SourceError, "read", location):
        kind = recipe.source_kind or kind_of(location)
    is_id = isinstance(source, str) and REPO_ID.fullmatch(location) is not None
    is_guess = is_id and kind == "hub" and not recipe.source_kind
    return SourceRef(location, kind, dataset_name(location), is_guess)


def _absolute(path: str) -> str:
    """Return an absolute path; a pattern stays relative below a folder that looks like one."""
    folder = Path.cwd()
    if GLOB.search(path) and GLOB.search(str(folder)):
        return path
    return str(folder / Path(path).expanduser())


def _open_object(source: Any, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.rows.iterable import open_iterable

    if type(source).__module__.split(".")[0] == "datasets":
        from wdsremux.sources.hf_datasets.tables import open_dataset

        return open_dataset(source, run.give_up_after)
    if not isinstance(source, Iterable):
        raise UsageError(
            f"SOURCE cannot be of type {type(source).__name__!r}; pass a string, a "
            "datasets.Dataset or an iterable of dicts"
        )
    return open_iterable(source, recipe.image_column)


def _open_hub(location: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.hf_datasets.loadable import open_hub_stream
    from wdsremux.sources.hub.layout import hub_layout
    from wdsremux.sources.parquet.hub import open_hub
    from wdsremux.stores.hub.ranges import HubAccess
    from wdsremux.stores.patience import ONCE_READ_GIVE_UP_AFTER_S

    access = HubAccess(run.give_up_after)
    layout = hub_layout(location, subset=recipe.subset, revision=recipe.revision, access=access)
    # The Hub has answered: hours of work shall not end on a few minutes of lost network.
    if run.give_up_after == Run().give_up_after:
        access = HubAccess(ONCE_READ_GIVE_UP_AFTER_S)
    return (
        open_hub(layout, access)
        if layout.is_parquet
        else open_hub_stream(layout, access, recipe.zip_encoding)
    )


def _open_parquet(location: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.parquet.local import open_parquet

    root = Path(recipe.image_root) if recipe.image_root else None
    return open_parquet(
        location, subset=recipe.subset, image_root=root, give_up_after_s=run.give_up_after
    )


def _open_saved(location: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.hf_datasets.tables import open_saved

    return open_saved(location, recipe.image_root, run.give_up_after)


def _open_folder(location: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.folder.source import open_folder

    return open_folder(location, recipe.image_root, run.give_up_after)


def _open_tars(location: str, _recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.tars.source import open_tars

    return open_tars(location)


def _open_demo(_location: str, _recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.demo import open_demo

    return open_demo()


def _open_loadable(location: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.hf_datasets.loadable import open_loadable

    return open_loadable(
        location,
        subset=recipe.subset,
        give_up_after_s=run.give_up_after,
        image_root=recipe.image_root,
        zip_encoding=recipe.zip_encoding,
    )


_OPENERS: Mapping[str, Callable[[str, Recipe, Run], Source]] = {
    "hub": _open_hub,
    "parquet": _open_parquet,
    "saved": _open_saved,
    "folder": _open_folder,
    "tars": _open_tars,
    "demo": _open_demo,
    "loadable": _open_loadable,
}
