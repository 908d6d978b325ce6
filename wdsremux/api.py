"""The public functions: what the command line does, for Python."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Unpack, cast

from wdsremux import opening
from wdsremux.columns import choose_columns, remarks_on
from wdsremux.conversion import Conversion
from wdsremux.converting import convert as run_conversion
from wdsremux.engines.cpus import usable_cpus
from wdsremux.errors import (
    RecipeMismatchError,
    SourceError,
    TargetError,
    UnreachableTargetError,
    UsageError,
    WdsremuxError,
)
from wdsremux.events import Note, Observer, nobody
from wdsremux.extending import taken_up
from wdsremux.forwarding import Forwarder
from wdsremux.jobs import (
    head_from,
    job_from_recipe,
    place_of,
    wishes_of,
)
from wdsremux.ledger import Ledger
from wdsremux.manifest import Manifest
from wdsremux.opening import SourceLike, Transform
from wdsremux.options import ConvertOptions, RepairOptions
from wdsremux.placing import placed
from wdsremux.planning import series_from_text
from wdsremux.recipe import Recipe, Run
from wdsremux.repairing import RepairObserver
from wdsremux.repairing import repair as run_repair
from wdsremux.repairs.heads import Head
from wdsremux.repairs.recorded import recipe_from_head
from wdsremux.reports import RepairReport
from wdsremux.shards.assign import Bounds
from wdsremux.syncing import sync
from wdsremux.syncs.refusing import refuse_beforehand
from wdsremux.targets.base import RemoteTarget
from wdsremux.targets.local import LocalTarget
from wdsremux.values import is_url


def convert(
    source: SourceLike,
    out: str | Path,
    *,
    transform: Transform | None = None,
    observer: Observer = nobody,
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

    `out` is a folder, or a text such as "s3://bucket/folder", "gs://…", "az://…" and
    "hf://datasets/user/name".

    The other options are those of `wdsremux convert --help`, with `_` for `-`, as texts ("512MB",
    "1%") or values. The same call again goes on where an interrupted one stopped.

    Raises UsageError, SourceError, TransformError, TargetError, CorruptDataError or
    RecipeMismatchError, each of them a WdsremuxError.
    """
    recipe, run = _split(dict(options))
    return convert_by(source, out, recipe, run, transform=transform, observer=observer)


def convert_by(
    source: SourceLike,
    out: str | Path,
    recipe: Recipe,
    run: Run,
    *,
    transform: Transform | None = None,
    observer: Observer = nobody,
) -> Manifest:
    """Do what `convert` does, with options that are made already."""
    opening.refuse_own_source(source, out)
    conversion = open_conversion(source, out, recipe, run, transform or recipe.transform)
    conversion = placed(conversion, run, observer)
    if run.sync_to is None:
        return _converted(conversion, run, observer)
    return _carried(conversion, out, run, observer)


def _converted(conversion: Conversion, run: Run, observer: Observer) -> Manifest:
    with conversion.target.lock() as died:
        if run.overwrite:
            Ledger(conversion.target).clear()
        if died:
            observer(Note("the last run on this output was killed or crashed; going on from there"))
            conversion = replace(conversion, **_careful_engine(conversion, run))
        return run_conversion(taken_up(conversion, extend=run.extend), observer)


def _carried(conversion: Conversion, out: str | Path, run: Run, observer: Observer) -> Manifest:
    """Convert, and carry what is finished to a second place; its failures come last."""
    if not isinstance(conversion.target, LocalTarget):
        raise UsageError(
            f"--sync-to carries a folder, and {str(out)!r} is none; run `wdsremux sync` when the "
            "conversion is done"
        )
    second = str(run.sync_to)
    try:
        # Wrong keys, and a place that would be refused in the end, are told at once.
        remote = cast("RemoteTarget", opening.open_target(second))
        planned = Manifest.from_head(conversion.head, ())
        refuse_beforehand(conversion.target, planned, remote)
    except UnreachableTargetError as exc:
        observer(Note(f"{exc}; converting without sending, and trying again when all is done"))
        manifest = _converted(conversion, run, observer)
    else:
        with Forwarder(conversion.target.root, remote, observer, run.give_up_after) as forwarder:
            manifest = _converted(conversion, run, forwarder)
            forwarder.finish()
    try:
        report = sync(
            out,
            second,
            give_up_after=run.give_up_after,
            observer=lambda event: observer(event) if isinstance(event, Note) else None,
        )
    except WdsremuxError as exc:
        again = shlex.join(["wdsremux", "sync", str(out), second])
        raise TargetError(
            f"{str(out)!r} is finished, but not all of it is at {second!r}: {exc}; to go on: "
            f"{again}"
        ) from exc
    observer(Note(f"all of it is at {report.dest} too; check it with: wdsremux verify {second}"))
    return manifest


def _careful_engine(conversion: Conversion, run: Run) -> dict[str, Any]:
    has_function = conversion.job.function is not None
    engine, name, workers = opening.open_engine(run, has_function=has_function, after_death=True)
    return {"engine": engine, "engine_name": name, "workers": workers}


def repair(
    out: str | Path,
    *,
    shards: Iterable[str] = (),
    source: SourceLike | None = None,
    transform: Transform | None = None,
    observer: RepairObserver = nobody,
    **options: Unpack[RepairOptions],
) -> RepairReport:
    """Make missing and damaged shards of a dataset again, and rebuild its other files.

    Every shard is read, or those that `shards` names. One that is missing or damaged is made again
    from the source and by the function that are recorded, and published only if its SHA-256 is the
    recorded one. Entries, `index.json`, `recipe.json`, `rejected.jsonl` and the card are made of
    each other and of the shards, byte for byte as they were. Nothing else is touched.

    `source` and `transform` are needed where they have moved, or where `convert` got objects.

    Raises CorruptDataError when too little is left, RecipeMismatchError when a shard cannot be made
    as it was, and what `convert` raises; what is mended by then stays.
    """
    if is_url(out):
        raise UsageError(
            f"repair works in a folder, not on {str(out)!r}: repair the local copy of the output, "
            "then carry it there again with wdsremux sync"
        )
    run = Run.from_options(dict(options))
    return run_repair(
        Path(out).expanduser(),
        opening.open_target(out),
        _Reopening(out, run, source, transform),
        shards=[shards] if isinstance(shards, str) else shards,
        workers=usable_cpus() if run.workers is None else run.workers,
        observer=observer,
    )


@dataclass(frozen=True, slots=True)
class _Reopening:
    """Opens what a dataset was made from, as it is recorded or as it was given now."""

    out: str | Path
    run: Run
    source: SourceLike | None
    transform: Transform | None

    def __call__(self, head: Head, *, after_death: bool) -> Conversion:
        source = self._source(head["place"])
        function = self._function(head)
        recipe = recipe_from_head(head, function if isinstance(function, str) else None)
        try:
            conversion = open_conversion(source, self.out, recipe, self.run, function)
        except UsageError as exc:
            raise RecipeMismatchError(
                f"the source does not fit the recipe any more: {exc}"
            ) from exc
        except SourceError as exc:
            raise SourceError(f"{exc}; if the source has moved, name it with --source") from exc
        if not after_death:
            return conversion
        return replace(conversion, **_careful_engine(conversion, self.run))

    def _source(self, place: Mapping[str, Any]) -> SourceLike:
        source = place.get("source") if self.source is None else self.source
        if source is None:
            raise UsageError(
                "the source was a Python object, which no record can name; give it again: "
                "wdsremux.repair(out, source=...)"
            )
        return opening.without_revision(source)

    def _function(self, head: Head) -> Transform | None:
        if head["recipe"]["transform"] is None:
            return None
        place = head["place"]
        function = place.get("transform") if self.transform is None else self.transform
        if function is None:
            raise UsageError(
                "the function was a Python object, which no record can name; give it again: "
                "wdsremux.repair(out, transform=...)"
            )
        opening.open_function(function)  # its errors are told before the source is opened
        return function


def open_conversion(
    source: SourceLike, out: str | Path, recipe: Recipe, run: Run, transform: Transform | None
) -> Conversion:
    """Open and check all parts of a conversion; nothing is written yet."""
    function = opening.open_function(transform)
    target = opening.open_target(out)  # wrong keys are told before the source is opened
    opened = opening.open_source(source, recipe, run)
    features, wishes = opened.features(), wishes_of(recipe)
    columns = choose_columns(features, wishes, has_function=function is not None)
    job = job_from_recipe(recipe, columns, function)
    series = series_from_text(recipe.split, opened.splits())
    head = head_from(recipe, job, opened.identity(), [rows.name for rows in series])
    # What is no text has no words: whoever opens it again must be given it.
    source_words = str(source) if isinstance(source, str | Path) else None
    function_words = transform if isinstance(transform, str) else None
    place = place_of(source_words, replace(recipe, transform=function_words))
    head |= {"name": opening.name_of(source), "place": place}
    engine, engine_name, workers = opening.open_engine(run, has_function=function is not None)
    return Conversion(
        # In the order that a manifest has: each can be made of the other, byte for byte.
        head=Manifest.from_head(head, ()).head(),
        units=lambda split, start: opened.units(split, columns, start),
        series=series,
        limit=recipe.limit,
        job=job,
        engine=engine,
        engine_name=engine_name,
        workers=workers,
        target=target,
        bounds=Bounds(recipe.max_shard_size, recipe.max_shard_samples),
        allow_oversize=recipe.allow_oversize,
        max_errors=run.max_errors,
        remarks=remarks_on(features, wishes, columns),
        fails_at_once=run.on_error == "fail",
        breaks=recipe.break_at,
    )


def _split(options: dict[str, Any]) -> tuple[Recipe, Run]:
    """Return the options of the recipe and those of the run."""
    own = {field.name for field in fields(Run)}
    return (
        Recipe.from_options({name: v for name, v in options.items() if name not in own}),
        Run.from_options({name: v for name, v in options.items() if name in own}),
    )
