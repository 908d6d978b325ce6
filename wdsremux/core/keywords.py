"""The keyword options of `wdsremux.convert` and `repair`, for type checkers and editors.

The same names as the fields of Recipe and Run (a test compares them); values may be strings as on
the command line.
"""

from collections.abc import Iterable
from typing import Literal, TypedDict

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import ErrorLimit, did_you_mean


class RepairOptions(TypedDict, total=False):
    """The options of a repair: those of a conversion that do not decide bytes."""

    workers: int
    engine: Literal["auto", "threads", "processes"]
    give_up_after: str | float
    record_timeout: str | float


class ConvertOptions(TypedDict, total=False):
    """Every option of a conversion except source, output and transform."""

    split: str
    split_ratio: str
    stratify: bool
    subset: str
    revision: str
    source_kind: str
    image_column: str
    image_columns: str | list[str] | tuple[str, ...]
    image_list: Literal["first", "each"]
    label_column: str
    extra_columns: str | list[str] | tuple[str, ...]
    with_text: str
    cls: bool
    key_column: str
    image_root: str
    zip_encoding: str
    steps: str | list[str] | tuple[str, ...]
    eval_steps: str | list[str] | tuple[str, ...]
    eval_transform: str
    transform_mode: Literal["batch", "sample", "image"]
    transform_input: Literal["pil", "numpy", "bytes"]
    batch_size: int
    batch_memory: str | int
    copies: int
    seed: int
    format: Literal["jpeg", "png", "webp"]
    quality: int
    subsampling: Literal["444", "422", "420"]
    reencode: bool
    check: Literal["pixels", "structure", "none"]
    max_pixels: int
    depth_range: str | tuple[float, float]
    kernel: Literal["auto", "native", "portable"]
    matte: str | tuple[int, int, int]
    max_shard_size: str | int
    max_shard_samples: int
    shards: int
    shards_multiple_of: int
    lanes: int
    allow_oversize: bool
    break_at: int | list[int] | tuple[int, ...]
    limit: int
    shuffle: int
    where: str
    min_size: int
    max_aspect: float
    workers: int
    engine: Literal["auto", "threads", "processes", "ray"]
    ray_address: str
    cpus_per_lane: int
    on_error: Literal["skip", "fail"]
    max_errors: str | int | ErrorLimit
    give_up_after: str | float
    record_timeout: str | float
    staging: str
    staging_max: str | int
    scratch: str
    index: str | list[str] | tuple[str, ...]
    lane: str
    sync_to: str
    extend: bool
    accept_function_change: bool
    overwrite: bool
    progress: Literal["auto", "bar", "log", "json", "none"]


def refuse_unknown(names: Iterable[str], kind: type[RepairOptions] | type[ConvertOptions]) -> None:
    """Raise UsageError for the first name that is not an option of this kind."""
    known = [*kind.__annotations__]
    for name in names:
        if name not in known:
            raise UsageError(
                f"unknown option {name!r}{did_you_mean(name, known)}; "
                f"the options are {', '.join(known)}"
            )
