"""The public function `convert`: what the command does, for Python."""

import inspect
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Unpack

from wdsremux.converting import progress
from wdsremux.converting.extend import resumed
from wdsremux.converting.finishing import finish
from wdsremux.converting.meter import Meter
from wdsremux.converting.python_texts import error_in_python, noting_in_python
from wdsremux.converting.run import convert as run_conversion
from wdsremux.converting.summary import summary_of
from wdsremux.core.errors import UsageError, WdsremuxError
from wdsremux.core.events import Event, Note, Observer, Opened, ignore_event, log_notes
from wdsremux.core.heartbeat import Phase, receiving
from wdsremux.core.keywords import ConvertOptions, refuse_unknown
from wdsremux.core.manifest import Manifest
from wdsremux.core.option_values import counted
from wdsremux.core.recipe import Recipe, Run, has_function
from wdsremux.dataset.indexes.registry import kinds_from_text
from wdsremux.dataset.ledger import Ledger
from wdsremux.processing.opening import (
    Transform,
    open_conversion,
    with_careful_engine,
)
from wdsremux.processing.plan import Conversion
from wdsremux.sources.registry import SourceLike, parse


def convert(
    source: SourceLike,
    out: str | Path,
    *,
    transform: Transform | None = None,
    observer: Observer | None = None,
    **options: Unpack[ConvertOptions],
) -> Manifest:
    """Stream a dataset through preprocessing and pack it into WebDataset shards under `out`.

    `source` is what the command line takes (a Hub dataset ID, a folder, a glob, a brace pattern,
    "demo:"), or a `datasets.Dataset`, `DatasetDict`, `IterableDataset`, or any iterable of dicts
    whose images are encoded bytes, PIL images, H×W×3 uint8 RGB arrays or paths.

    `transform` is "FILE.py:NAME", "MODULE:NAME" or a function. With `transform_mode="batch"` (the
    default) it takes a dict of lists, as with `datasets.map(batched=True)`, and returns one; with
    "sample" a dict for a dict; with "image" an image for an image. Images come as PIL, or, as
    `transform_input` says, as H×W×3 uint8 RGB arrays or stored bytes; they may be returned in any
    of these forms. None for an image leaves the sample out, and so does raising `RejectSample`. A
    parameter named `rng` gets a `numpy.random.Generator` that depends on seed, copy and row only.

    `out` is a folder, or a URL such as "s3://bucket/folder", "gs://...", "az://..." and
    "hf://datasets/user/name".

    The other options are those of `wdsremux convert --help`, with `_` for `-`, as strings
    ("512MB", "1%") or values. The same call again resumes an interrupted one.

    `progress` shows the run on stderr as the command line does; "none" is silent. By default, a
    terminal or notebook gets a bar; elsewhere notes are logged as warnings of the logger
    "wdsremux". An `observer` is called with each event, such as `wdsremux.ShardDone`, instead.

    Raises UsageError, SourceError, TransformError, StoreError, CorruptDataError or
    RecipeMismatchError, each of them a WdsremuxError.
    """
    meter = Meter()
    try:
        recipe, run = _split(dict(options))
        notify = _observer(observer, options.get("progress"))
        told = noting_in_python(notify)

        def observe(event: Event) -> None:
            meter.note(event)
            told(event)

        try:
            return convert_by(source, out, recipe, run, transform=transform, observer=observe)
        finally:
            progress.close(notify)
    except WdsremuxError as exc:
        raise error_in_python(exc) from None
    except KeyboardInterrupt as exc:
        kept = meter.kept_text()
        exc.add_note(f"{kept}The same call resumes." if kept else "Nothing is finished yet.")
        raise


def _signature() -> inspect.Signature:
    """Return the signature of `convert` with its options, for editors and `help`."""
    own = inspect.signature(convert)
    defaults = {each.name: each.default for kind in (Recipe, Run) for each in fields(kind)}
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, keyword, default=defaults[name], annotation=annotation)
        for name, annotation in ConvertOptions.__annotations__.items()
    ]
    named = [each for each in own.parameters.values() if each.kind is not each.VAR_KEYWORD]
    return own.replace(parameters=[*named, *options])


convert.__dict__["__signature__"] = _signature()


def convert_by(
    source: SourceLike,
    out: str | Path,
    recipe: Recipe,
    run: Run,
    *,
    transform: Transform | None = None,
    observer: Observer = ignore_event,
) -> Manifest:
    """Do what `convert` does, with parsed options."""
    indexes = kinds_from_text(run.index)
    ref = parse(source, recipe)
    ref.refuse_output(out)
    if ref.is_guess:  # which may take up to --give-up-after
        observer(Note(f"folder {ref.location!r} not found here: asking the Hub for that dataset"))
    calls_function = transform is not None or has_function(recipe)
    observer(Phase(f"listing {ref.name}", runs_function=calls_function))
    transform = transform or recipe.transform
    if run.engine == "ray":
        from wdsremux.converting.ray_lanes import convert_on_ray  # noqa: PLC0415 (only --engine ray needs it)

        return convert_on_ray(convert_by, ref, out, (recipe, run), transform, observer)
    with receiving(observer):
        conversion = open_conversion(ref, out, recipe, run, transform)
    conversion = replace(conversion, indexes=indexes)
    observer(Opened(summary_of(conversion, out)))
    if conversion.store.root is None:
        from wdsremux.converting.remote_output import with_remote_output  # noqa: PLC0415 (only outputs behind a network need it)

        conversion = with_remote_output(conversion, run, observer)
    if run.sync_to is None:
        return _converted(conversion, run, observer)
    from wdsremux.converting.forwarding import convert_and_sync  # noqa: PLC0415 (only --sync-to needs it)

    return convert_and_sync(_converted, conversion, out, run, observer)


def _converted(conversion: Conversion, run: Run, observer: Observer) -> Manifest:
    lane = conversion.lane
    with conversion.store.lock("" if lane is None else f"-lane-{lane.number}") as died:
        if run.overwrite:
            Ledger(conversion.store).clear()
        if died:
            observer(Note("the last run on this output was killed or crashed; resuming"))
            conversion = with_careful_engine(conversion, run)
        conversion = resumed(conversion, run, observer)
        manifest = run_conversion(conversion, observer)
    return manifest if lane is None else _with_other_lanes(conversion, manifest, observer)


def _with_other_lanes(conversion: Conversion, own: Manifest, observer: Observer) -> Manifest:
    """Finish the output if this lane was the last; else return what this lane has made."""
    manifest = finish(
        conversion.store, conversion.max_errors, conversion.published, observer, is_last_word=False
    )
    if manifest is not None:
        return manifest
    made = counted(own.totals.shards, "shard")
    observer(
        Note(
            f"lane {conversion.lane} is finished: {made}; index.json is written with the last lane"
        )
    )
    return own


def _observer(observer: Observer | None, shown: str | None) -> Observer:
    """Return the observer of a run that Python started.

    By default that is a bar on a terminal and in a notebook; elsewhere notes are logged.
    """
    if observer is not None:
        if shown not in (None, "none"):
            raise UsageError("progress and observer exclude each other; pass one of them")
        return observer
    is_terminal = sys.stderr is not None and sys.stderr.isatty()  # a process may have no stderr
    if shown is None and (is_terminal or _is_notebook()):
        shown = "bar"
    return log_notes if shown is None else progress.observer(shown)


def _is_notebook() -> bool:
    """Return whether this code runs in a kernel of Jupyter, by the shell that IPython started."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _split(options: dict[str, Any]) -> tuple[Recipe, Run]:
    """Return the options of the recipe and those of the run."""
    refuse_unknown(options, ConvertOptions)
    own = {field.name for field in fields(Run)}
    return (
        Recipe.from_options({name: v for name, v in options.items() if name not in own}),
        Run.from_options({name: v for name, v in options.items() if name in own}),
    )
