"""From words to parts: the only room that knows every source, engine and target."""

# ruff: noqa: PLC0415 (local imports keep each part out of the way of those who do not use it)

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from wdsremux.engines.base import Engine
from wdsremux.engines.cpus import usable_cpus
from wdsremux.errors import SourceError, UsageError
from wdsremux.recipe import Recipe, Run
from wdsremux.source_words import SourceLike, kind_of
from wdsremux.sources.base import Source
from wdsremux.targets.base import RemoteTarget, Target
from wdsremux.targets.local import LocalTarget
from wdsremux.targets.remote_folder import RemoteFolder
from wdsremux.transforms.user import FunctionSpec, function_from_callable, function_from_text
from wdsremux.untrusted import Folder, UntrustedFolder
from wdsremux.values import is_url

READING_GIVE_UP_AFTER_S = 60.0
"""An output behind a URL that cannot be reached for so long is given up."""
Transform = str | Callable[..., Any]


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
    from wdsremux.sources.stream import open_iterable

    if type(source).__module__.split(".")[0] == "datasets":
        from wdsremux.sources.hf_dataset import open_dataset

        return open_dataset(source, run.give_up_after)
    if not isinstance(source, Iterable):
        raise UsageError(
            f"a source is a text, a datasets.Dataset or an iterable of dicts, "
            f"not {type(source).__name__}"
        )
    return open_iterable(source)


def _open_hub(words: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.http_ranges import Access
    from wdsremux.sources.hub import open_hub
    from wdsremux.sources.hub_layout import hub_layout
    from wdsremux.sources.loadable import open_hub_stream

    access = Access(run.give_up_after)
    layout = hub_layout(words, subset=recipe.subset, revision=recipe.revision, access=access)
    return open_hub(layout, access) if layout.is_parquet else open_hub_stream(layout, access)


def _open_parquet(words: str, recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.parquet import open_parquet

    root = Path(recipe.image_root) if recipe.image_root else None
    return open_parquet(words, subset=recipe.subset, image_root=root)


def _open_saved(words: str, recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.hf_dataset import open_saved

    return open_saved(words, recipe.image_root)


def _open_folder(words: str, _recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.folder import open_folder

    return open_folder(words)


def _open_tars(words: str, _recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.tars import open_tars

    return open_tars(words)


def _open_demo(_words: str, _recipe: Recipe, _run: Run) -> Source:
    from wdsremux.sources.demo import open_demo

    return open_demo()


def _open_loadable(words: str, recipe: Recipe, run: Run) -> Source:
    from wdsremux.sources.loadable import open_loadable

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


def open_target(out: str | os.PathLike[str]) -> Target:
    """Return the target that OUT names."""
    words = os.fspath(out)
    scheme, _, rest = words.partition(":/")
    # URLs are shown and recorded as they were given; of the Hub, an @ begins the branch.
    if scheme in _TARGET_OPENERS and scheme != "hf" and set(rest) & set("?@"):
        raise UsageError(
            f"a URL of {scheme}:// with '?' or '@' may hold a secret; name {scheme}://BUCKET/FOLDER"
        )
    if isinstance(out, os.PathLike) and scheme in _TARGET_OPENERS:
        raise UsageError(f"a Path holds no URL; give the text '{scheme}://{rest}'")
    if not is_url(words):
        return LocalTarget(Path(words).expanduser())
    if scheme not in _TARGET_OPENERS:
        known = ", ".join(f"{name}://" for name in _TARGET_OPENERS)
        raise UsageError(f"no output lies at {scheme}://; name a folder or one of {known}")
    try:
        return _TARGET_OPENERS[scheme](words)
    except ModuleNotFoundError as exc:
        raise UsageError(
            f"{words!r} needs {exc.name}, which is not there; pip install 'wdsremux[{scheme}]'"
        ) from exc


def _open_s3(words: str) -> Target:
    from wdsremux.targets.s3.target import open_s3

    return open_s3(words)


def _open_object_store(words: str) -> Target:
    from wdsremux.targets.objects.target import open_object_store

    return open_object_store(words)


def _open_hub_target(words: str) -> Target:
    from wdsremux.targets.hub.target import open_hub_target

    return open_hub_target(words)


_TARGET_OPENERS: Mapping[str, Callable[[str], Target]] = {
    "s3": _open_s3,
    "gs": _open_object_store,
    "az": _open_object_store,
    "hf": _open_hub_target,
}


def open_folder(out: str | os.PathLike[str], *, is_cold: bool = False) -> Folder:
    """Return the files of an output, as what nobody vouches for. Raises OSError or TargetError.

    `is_cold` asks for bytes from the disk, not from memory, where they lie on one.
    """
    target = open_target(out)
    if isinstance(target, LocalTarget):
        return UntrustedFolder(target.root, is_cold=is_cold)
    # Whatever is no folder can prove what it holds.
    return RemoteFolder(cast("RemoteTarget", target), READING_GIVE_UP_AFTER_S)


def open_engine(
    run: Run, *, has_function: bool, after_death: bool = False
) -> tuple[Engine, str, int]:
    """Return the engine, what it is called, and its number of workers.

    After a run that died, "auto" takes processes: if a record killed it (a codec that crashes takes
    all threads with it), it is found and rejected this time.
    """
    from wdsremux.engines.processes import ProcessEngine
    from wdsremux.engines.serial import SerialEngine
    from wdsremux.engines.threads import ThreadEngine

    workers = usable_cpus() if run.workers is None else run.workers
    if workers == 0:
        return SerialEngine(), "serial", 0
    if has_function and run.engine == "threads":
        raise UsageError(
            "--engine threads cannot run your function: it would share Python's lock and the "
            "global random generators; leave --engine at auto"
        )
    if has_function or run.engine == "processes" or (after_death and run.engine == "auto"):
        return ProcessEngine(workers, result_timeout_s=run.record_timeout), "processes", workers
    return ThreadEngine(workers), "threads", workers


def open_function(transform: Transform | None) -> FunctionSpec | None:
    """Return the user's function, named or given."""
    if transform is None:
        return None
    if isinstance(transform, str):
        return function_from_text(transform)
    return function_from_callable(transform)
