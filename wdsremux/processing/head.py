"""Makes the head and the worker's job of a recipe and an opened source, and a recipe of a head."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from wdsremux.core.column_choice import ColumnOptions
from wdsremux.core.columns import Columns
from wdsremux.core.conditions import names_of, parsed_condition
from wdsremux.core.errors import UsageError
from wdsremux.core.head import FUNCTION_CHANGES, LANE_SHARDS, SHARD_ROWS, Head, fingerprint_of
from wdsremux.core.installed import installed_versions
from wdsremux.core.json_values import card_dtype
from wdsremux.core.option_values import DEFAULT_SHARD_BYTES
from wdsremux.core.recipe import Recipe
from wdsremux.dataset.shards.series import prefix_of
from wdsremux.processing.filters import RowFilter
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.members import member_features
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.function.call import FunctionSpec
from wdsremux.transforms.kernel.choice import chosen_kernel, kernel_of, recorded_as
from wdsremux.transforms.resample import resampler_name
from wdsremux.transforms.steps.catalogue import steps_from_text

BYTE_LIBRARIES = ("pillow", "simplejpeg", "numpy", "opencv-python-headless", "cykooz-resizer")
"""Libraries that decide the bytes of an image."""


ORIGIN_FIELDS = ("revision", "source_kind", "image_root", "subset")
"""Fields of a recipe that say where the source is; the source's identity replaces them."""


KERNEL_FIELD = "kernel"
"""Field of a recipe that `versions` replaces: the kernel in use, with its version."""

STORED_NOTE = (
    "stored JPEGs were packed unchanged, with their EXIF orientation tag; --reencode applies the "
    "tag to the pixels"
)


def job_from_recipe(recipe: Recipe, columns: Columns, function: FunctionSpec | None) -> WorkerJob:
    """Return the job of the workers. Raises UsageError for options that exclude each other."""
    if function is not None and recipe.transform_input == "bytes" and recipe.steps:
        raise UsageError(
            "--transform-input bytes cannot be combined with --step: steps decode the image; use "
            "pil or numpy"
        )
    has_function = function is not None or recipe.eval_transform is not None
    if columns.packed_images and has_function and recipe.transform_mode == "image":
        raise UsageError(
            "--transform-mode image passes one image to your function, and --image-columns packs "
            "several; use --transform-mode sample or batch"
        )
    codec = Codec(
        format=recipe.format,
        quality=recipe.quality,
        subsampling=recipe.subsampling,
        matte=recipe.matte,
        max_pixels=recipe.max_pixels,
        depth_range=recipe.depth_range,
        kernel=chosen_kernel(recipe.kernel),
    )
    return WorkerJob(
        columns=columns,
        codec=codec,
        steps=tuple(str(step) for step in steps_from_text(recipe.steps)),
        function=function,
        mode=recipe.transform_mode,
        input=recipe.transform_input,
        batch_size=recipe.batch_size,
        batch_memory=recipe.batch_memory,
        copies=recipe.copies,
        seed=recipe.seed,
        reencode=recipe.reencode,
        check=recipe.check,
        filter=_filter(recipe, columns),
    )


def _filter(recipe: Recipe, columns: Columns) -> RowFilter | None:
    """Return what decides which rows are converted. Raises UsageError."""
    if recipe.where is None and recipe.min_size is None and recipe.max_aspect is None:
        return None
    rows = RowFilter(recipe.where, columns.tested, recipe.min_size, recipe.max_aspect)
    rows.prepared()
    return rows


def column_options(recipe: Recipe) -> ColumnOptions:
    """Return the column options of a recipe."""
    tested = () if recipe.where is None else tuple(names_of(parsed_condition(recipe.where)))
    return ColumnOptions(
        recipe.image_column,
        recipe.label_column,
        recipe.extra_columns,
        recipe.key_column,
        tested,
        recipe.with_text,
        recipe.cls,
        recipe.image_columns,
    )


def head_from(
    recipe: Recipe, job: WorkerJob, identity: Mapping[str, Any], splits: Sequence[str]
) -> Head:
    """Return the head of a conversion, still without its name and origin."""
    label = job.columns.label
    head = Head(
        name="",
        copies=job.copies,
        class_names=tuple(label.class_names) if label and label.class_names else None,
        features=features_of(job),
        series=tuple(
            prefix_of(name, copy, job.copies) for name in splits for copy in range(job.copies)
        ),
        options=effective_recipe(recipe, job),
        source=dict(identity),
        versions={"kernel": recorded_as(job.codec.kernel), **versions()},
        fingerprint="",
        notes=tuple(_notes(job)),
    )
    return replace(head, fingerprint=fingerprint_of(head.to_json()))


def _notes(job: WorkerJob) -> Iterator[str]:
    if any(each.passes_through for each in job.chains):
        yield STORED_NOTE
    if job.function is not None and job.function.by_name:
        names = ", ".join(job.function.by_name)
        yield (
            f"{job.function.label} uses {names}: only the class of such an object is part of the "
            "recipe. If the object changes, convert into another OUT"
        )


def origin_of(source: str | None, recipe: Recipe) -> dict[str, str | None]:
    """Return the options that name source and function, by which `repair` opens them again."""
    named = {name: getattr(recipe, name) for name in ORIGIN_FIELDS}
    own = {"eval_transform": recipe.eval_transform} if recipe.eval_transform else {}
    return {"source": source, "transform": recipe.transform, **own, **named}


def effective_recipe(recipe: Recipe, job: WorkerJob) -> dict[str, Any]:
    """Return the recipe's fields as they take effect."""
    left_out = (*ORIGIN_FIELDS, KERNEL_FIELD, "eval_steps", "eval_transform")
    fields = {name: value for name, value in asdict(recipe).items() if name not in left_out}
    columns = job.columns
    fields |= {
        **_held_out_fields(job),
        "image_column": columns.image,
        # With their kinds: what a name says may be read differently later.
        "image_columns": [column.text for column in columns.packed_images],
        "label_column": columns.label.name if columns.label else None,
        "extra_columns": [column.name for column in columns.extras],
        "added_columns": {column.name: column.dtype for column in columns.added},
        "key_column": columns.key,
        "steps": list(job.steps),
        "transform": job.function.fingerprint() if job.function else None,
        "matte": list(recipe.matte),
        "max_shard_size": recipe.max_shard_size or DEFAULT_SHARD_BYTES,
        "break_at": list(recipe.break_at),
        # Only a batch function can see which rows are in one batch.
        "batch_size": job.rows_a_call,
    }
    if recipe.depth_range is not None:
        fields["depth_range"] = list(recipe.depth_range)
    for name in _unused(recipe, job):
        del fields[name]
    if all(each.function is None for each in job.chains):
        fields |= {"transform_mode": None, "transform_input": None}
    return fields


def _held_out_fields(job: WorkerJob) -> dict[str, Any]:
    """Return the fields of the chain of held-out splits, if they have one."""
    own = job.held_out
    if own is None:
        return {}
    function = own.function.fingerprint() if own.function else None
    return {"eval_steps": list(own.steps), "eval_transform": function}


def _unused(recipe: Recipe, job: WorkerJob) -> list[str]:
    """Return the options without which an output is the same as one that is older than they are."""
    passes = any(each.passes_through for each in job.chains)
    is_unused = {
        "depth_range": recipe.depth_range is None,
        "zip_encoding": recipe.zip_encoding is None,
        "image_columns": not recipe.image_columns,
        "image_list": recipe.image_list == "first",
        "shards": recipe.shards is None,
        "shards_multiple_of": recipe.shards_multiple_of is None,
        "lanes": recipe.lanes == 1 or recipe.shards is not None,
        "shuffle": recipe.shuffle is None,
        "split_ratio": recipe.split_ratio is None,
        "stratify": not recipe.stratify,
        "where": recipe.where is None,
        "min_size": recipe.min_size is None,
        "max_aspect": recipe.max_aspect is None,
        "with_text": not recipe.with_text,
        "cls": not recipe.cls,
        "check": not passes or recipe.check == "structure",
        "batch_memory": job.rows_a_call is None or recipe.batch_memory is None,
    }
    return [name for name, unused in is_unused.items() if unused]


def versions() -> dict[str, str]:
    """Return the versions of the libraries that decide bytes, and the resampler in use."""
    return {"resampler": resampler_name(), **installed_versions(BYTE_LIBRARIES)}


def features_of(job: WorkerJob) -> dict[str, Any]:
    """Return the dtypes of the samples as the manifest and the card declare them."""
    columns = job.columns
    fields = {column.json_name: card_dtype(column.dtype) for column in columns.extras}
    fields |= {column.name: card_dtype(column.dtype) for column in columns.added}
    fields |= {"width": "int64", "height": "int64", "position": "int64"}
    if columns.label is not None:
        fields["label"] = card_dtype(columns.label.dtype)
        if columns.label.class_names is not None:
            fields["label_name"] = "string"
    if job.copies > 1:
        fields["copy"] = "int64"
    if columns.key is not None:
        fields["key"] = "string"
    members = {"json": {"struct": dict(sorted(fields.items()))}, **member_features(columns)}
    return {**dict.fromkeys(job.image_extensions, "image"), **members}


def with_added_columns(head: Head, job: WorkerJob) -> Head:
    """Return a head with the columns that the function of a job adds, and its new fingerprint."""
    added = {column.name: column.dtype for column in job.columns.added}
    options = {**head.options, "added_columns": added}
    head = replace(head, features=features_of(job), options=options)
    return replace(head, fingerprint=fingerprint_of(head.to_json()))


def recipe_from_head(
    head: Head, transform: str | None, eval_transform: str | None = None
) -> Recipe:
    """Return the recipe that a head was made of, with the source pinned to its commit.

    Columns that the function adds are not part of it: see `survey.with_recorded_columns`.
    `transform` and `eval_transform` name the user's functions now. Raises UsageError for options
    that this version does not have.
    """
    effective, origin = head.options, head.origin
    known = {item.name for item in fields(Recipe)}
    recorded_only = {"added_columns", SHARD_ROWS, LANE_SHARDS, FUNCTION_CHANGES}
    unknown = sorted(effective.keys() - known - recorded_only)
    if unknown:
        raise UsageError(
            f"the dataset was made with option {unknown[0]!r}, which this version of wdsremux does "
            "not have; repair it with the version that made it"
        )
    options = {name: value for name, value in effective.items() if name in known}
    options |= {name: origin.get(name) for name in ("source_kind", "image_root", "subset")}
    options |= {
        "transform": transform,
        "eval_transform": eval_transform,
        "revision": head.source.get("commit") or origin.get("revision"),
        # None would mean: find the column.
        "label_column": effective["label_column"] or "",
        "extra_columns": effective["extra_columns"],
    }
    recorded = head.versions.get("kernel")
    # Without the native kernel the portable one is tried: what is not a JPEG, it makes alike.
    options["kernel"] = "auto" if kernel_of(recorded) == "native" else "portable"
    options.setdefault("check", "structure")  # as in older outputs
    recipe = Recipe.from_options(options)
    # An older output has no such bound.
    is_bounded = "batch_memory" in effective
    return recipe if is_bounded else replace(recipe, batch_memory=None)
