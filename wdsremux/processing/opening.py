"""Makes a conversion of the user's arguments: opens source, store, engine and function."""

# ruff: noqa: PLC0415 (local imports: an engine that is not used is not imported)

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wdsremux.core.column_choice import choose_columns, remarks_on
from wdsremux.core.columns import Columns
from wdsremux.core.cpus import usable_cpus
from wdsremux.core.errors import UsageError
from wdsremux.core.head import Head
from wdsremux.core.option_values import DEFAULT_SHARD_BYTES
from wdsremux.core.recipe import Recipe, Run
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.processing.arranging import arranged, is_rearranged, with_source_row
from wdsremux.processing.engines.base import Engine
from wdsremux.processing.even_shards import (
    Lane,
    borders_of,
    lane_from_text,
    refuse_hub,
    with_lane_shards,
)
from wdsremux.processing.head import column_options, head_from, job_from_recipe, origin_of
from wdsremux.processing.held_out import held_out_chain, remarks_on_held_out
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.plan import Conversion
from wdsremux.processing.shard_rows import (
    default_shard_rows,
    has_default_size,
    with_shard_rows,
)
from wdsremux.processing.source_size import source_bytes
from wdsremux.processing.tasks import SeriesRows, remarks_on_splits
from wdsremux.sources.base import Source
from wdsremux.sources.registry import SourceLike, SourceRef, parse
from wdsremux.stores import registry
from wdsremux.transforms.function.call import (
    FunctionSpec,
    function_from_callable,
    function_from_text,
)

Transform = str | Callable[..., Any]

THREADS_AT_MOST = 8
"""More workers than this are processes: what holds Python's lock takes about an eighth of the time
that an image costs (tools/scale/one_machine.py), so more threads would wait for one another.
"""


def open_engine(
    run: Run, *, has_function: bool, after_death: bool = False
) -> tuple[Engine, str, int]:
    """Return the engine, its name, and its number of workers.

    "auto" means processes for many workers, and after a run that died: a record that crashed the
    run (a crash of a codec ends all threads) is then found and rejected.
    """
    from wdsremux.processing.engines.processes import ProcessEngine
    from wdsremux.processing.engines.serial import SerialEngine
    from wdsremux.processing.engines.threads import ThreadEngine

    _refuse_ray(run)
    workers = usable_cpus() if run.workers is None else run.workers
    if workers == 0:
        return SerialEngine(), "serial", 0
    if has_function and run.engine == "threads":
        raise UsageError(
            "--engine threads cannot run your function: it would share Python's global lock and "
            "random generators; remove --engine threads"
        )
    suits_processes = after_death or workers > THREADS_AT_MOST
    if has_function or run.engine == "processes" or (suits_processes and run.engine == "auto"):
        return ProcessEngine(workers, result_timeout_s=run.record_timeout), "processes", workers
    return ThreadEngine(workers, row_timeout_s=run.record_timeout), "threads", workers


def _refuse_ray(run: Run) -> None:
    """Raise UsageError for the options of a cluster where none is used."""
    if run.engine == "ray":
        raise UsageError(
            "--engine ray runs whole conversions on a cluster; leave it out to try one on this "
            "machine"
        )
    for value, name in ((run.ray_address, "--ray-address"), (run.cpus_per_lane, "--cpus-per-lane")):
        if value is not None:
            raise UsageError(
                f"{name} has an effect only with --engine ray; add it, or leave {name} out"
            )


def open_function(transform: Transform | None) -> FunctionSpec | None:
    """Return the user's function, named or passed as an object."""
    if transform is None:
        return None
    if isinstance(transform, str):
        return function_from_text(transform)
    return function_from_callable(transform)


def with_careful_engine(conversion: Conversion, run: Run) -> Conversion:
    """Return the conversion with the engine to use after a crash."""
    has_function = _has_function(conversion.job)
    engine, name, workers = open_engine(run, has_function=has_function, after_death=True)
    return replace(conversion, engine=engine, engine_name=name, workers=workers)


def _has_function(job: WorkerJob) -> bool:
    return any(each.function is not None for each in job.chains)


def _columns(
    source: Source, recipe: Recipe, *, has_function: bool
) -> tuple[Source, Columns, tuple[str, ...]]:
    """Return the source of what is packed, its columns, and what to say of those left out."""
    features, options = source.features(), column_options(recipe)
    if is_rearranged(recipe):
        features = with_source_row(features)
    adds_columns = has_function and recipe.transform_mode != "image"
    columns = choose_columns(features, options, has_function=adds_columns)
    if recipe.image_list == "each" and columns.packed_images:
        raise UsageError(
            "--image-list each cannot be combined with --image-columns: it makes a sample of each "
            "image of one column; leave one of them out"
        )
    if recipe.image_list == "each":
        columns = replace(columns, every_image=True)
        source = _every_image(source, columns)
    return source, columns, remarks_on(features, options, columns)


def _every_image(source: Source, columns: Columns) -> Source:
    """Return a source with a row for each image of a list. Raises UsageError."""
    from wdsremux.sources.rows.every_image import EveryImage

    if columns.key is not None:
        raise UsageError(
            f"--image-list each cannot be combined with --key-column {columns.key}: all images of "
            "a row would have the same key; leave --key-column out"
        )
    return EveryImage(source)


def _with_lane(recipe: Recipe, run: Run, out: str | Path) -> tuple[Recipe, Lane | None]:
    """Return the recipe with the number of lanes, and the lane to make. Raises UsageError."""
    if run.lane is None:
        return recipe, None
    lane = lane_from_text(run.lane)
    if recipe.lanes not in (1, lane.lanes):
        raise UsageError(f"--lane {lane} does not fit --lanes {recipe.lanes}")
    for is_given, name in ((run.overwrite, "--overwrite"), (run.sync_to, "--sync-to")):
        if is_given:
            raise UsageError(
                f"{name} cannot be combined with --lane: other lanes write to OUT, too"
            )
    refuse_hub(out)
    return replace(recipe, lanes=lane.lanes), lane


def _with_borders(
    head: Head, series: Sequence[SeriesRows], recipe: Recipe, run: Run
) -> tuple[Head, tuple[tuple[int, ...], ...]]:
    """Return the head, and where the shards begin if they have known rows. Raises UsageError."""
    stored = source_bytes(head.source, series, recipe.limit)
    borders = borders_of(series, series[0].ranges[0].start, recipe, stored)
    if borders and run.extend:
        raise UsageError(
            "--extend cannot be combined with --shards, --shards-multiple-of or --lanes; convert "
            "into another OUT"
        )
    if borders and recipe.shards is None:
        head = with_lane_shards(head, [len(each) - 1 for each in borders])
    return head, borders


def open_survey_engine(run: Run) -> Engine:
    """Return an engine with one worker: what runs the function before the conversion begins."""
    one = replace(run, workers=1 if run.workers is None else min(1, run.workers))
    return open_engine(one, has_function=True)[0]


def open_conversion(
    source: SourceLike | SourceRef,
    out: str | Path,
    recipe: Recipe,
    run: Run,
    transform: Transform | None,
) -> Conversion:
    """Open and check all parts of a conversion; nothing is written yet."""
    recipe, lane = _with_lane(recipe, run, out)
    function = open_function(transform)
    store = registry.open_store(out)  # first: credentials fail before the source is opened
    ref = parse(source, recipe)
    opened = ref.open(recipe, run)
    is_given = function is not None or recipe.eval_transform is not None
    opened, columns, remarks = _columns(opened, recipe, has_function=is_given)
    rows = arranged(opened, columns, opened.splits(), recipe, run)
    series = rows.series
    job = job_from_recipe(recipe, columns, function)
    job = replace(job, held_out=held_out_chain(recipe, series))
    # A function object has no name to open it by: it must be passed again.
    function_name = transform if isinstance(transform, str) else None
    origin = origin_of(ref.location, replace(recipe, transform=function_name))
    head = head_from(recipe, job, opened.identity(), [rows.name for rows in series])
    head = replace(head, name=ref.name, origin=origin, notes=(*head.notes, *opened.notes()))
    engine, engine_name, workers = open_engine(run, has_function=_has_function(job))
    head, borders = _with_borders(head, series, recipe, run)
    conversion = Conversion(
        head=head,
        units=rows.units,
        series=series,
        limit=recipe.limit,
        job=job,
        engine=engine,
        engine_name=engine_name,
        workers=workers,
        store=store,
        borders=borders,
        lane=lane,
        bounds=Bounds(recipe.max_shard_size or DEFAULT_SHARD_BYTES, recipe.max_shard_samples),
        allow_oversize=recipe.allow_oversize,
        max_errors=run.max_errors,
        remarks=(
            *(*rows.remarks, *remarks, *remarks_on_splits(recipe.split, opened.splits())),
            *(*remarks_on_held_out(recipe, series, job), *opened.notes()),
        ),
        fails_at_once=run.on_error == "fail",
        breaks=recipe.break_at,
        adapts_kernel=recipe.kernel == "auto",
        has_default_size=has_default_size(recipe),
    )
    if not conversion.has_default_size:
        return conversion
    return with_shard_rows(conversion, default_shard_rows(series, recipe.limit))
