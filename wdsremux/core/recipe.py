"""The options of a conversion: the Recipe decides the bytes, the Run only how they are made.

Each field is an option of the command line, of the TOML file and of `wdsremux.convert`; the
docstring below a field is its help.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypeVar

from wdsremux.core.conditions import condition_from_text
from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import (
    DEFAULT_MAX_PIXELS,
    MB,
    ErrorLimit,
    aspect_from_text,
    colour_from_text,
    encoding_from_text,
    error_limit_from_text,
    names_from_text,
    number_from,
    range_from_text,
    rows_from,
    seconds_from_text,
    shard_size_from_text,
    size_from_text,
    strings,
    switch_from,
    text_from_colour,
    text_from_range,
    text_from_size,
    text_from_value,
)

T = TypeVar("T")


def function_from(value: Any) -> str:
    """Return the name of a function; a function object has none that can be recorded."""
    if not isinstance(value, str):
        raise TypeError("write FILE.py:NAME or MODULE:NAME")
    return value


def option(
    default: T,
    parse: Callable[[Any], Any] = str,
    *,
    show: Callable[[Any], str] = text_from_value,
    metavar: str = "",
    choices: tuple[str, ...] = (),
    repeat: str = "",
) -> T:
    """Declare an option: its parser, how it is shown, and its flag if that is repeated."""
    return field(
        default=default,
        metadata={
            "parse": parse,
            "show": show,
            "metavar": metavar,
            "choices": choices,
            "repeat": repeat,
        },
    )


class Options:
    """Reads any mix of strings and values into a frozen dataclass of options."""

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        """Make one from option values; a None means the default. Raises UsageError."""
        known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]  # subclasses are dataclasses
        for name in values:
            if name not in known:
                raise UsageError(f"unknown option {name!r}; the options are {', '.join(known)}")
        made = {
            name: cls._parsed(name, known[name].metadata, value)
            for name, value in values.items()
            if value is not None
        }
        return cls(**made)

    @staticmethod
    def _parsed(name: str, meta: Mapping[str, Any], value: Any) -> Any:
        flag = "--" + (meta["repeat"] or name.replace("_", "-"))
        try:
            parsed = meta["parse"](value)
        except (ValueError, TypeError) as exc:
            raise UsageError(f"{flag} cannot be {value!r}: {exc}") from exc
        if meta["choices"] and parsed not in meta["choices"]:
            raise UsageError(f"{flag} cannot be {value!r}; choose {', '.join(meta['choices'])}")
        return parsed


KINDS = ("hub", "parquet", "saved", "folder", "tars", "demo", "loadable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Options):
    """Everything that decides the bytes of the output, except the source itself."""

    split: str = option("train", metavar="SPLIT")
    """rows to convert: train, train+validation, train[:10%], train[1000:2000], or all"""
    split_ratio: str | None = option(None, metavar="NAME=SHARE,...")
    """divide the selected rows into splits, such as train=0.9,val=0.1, by a hash of the key"""
    stratify: bool = option(False, switch_from)
    """divide each label by --split-ratio"""
    subset: str | None = option(None, metavar="NAME")
    """configuration (subset) of the dataset, if it has several"""
    revision: str | None = option(None, metavar="REV")
    """commit, tag or branch of a Hub dataset; a branch is pinned to its current commit"""
    source_kind: str | None = option(None, choices=KINDS)
    """kind of SOURCE; recognised by default"""
    image_column: str | None = option(None, metavar="NAME")
    """column with the image; found by its type by default"""
    image_columns: tuple[str, ...] = option((), names_from_text, metavar="A,B")
    """several columns with images to pack into each sample, as members .A.jpg and .B.png; write
    NAME:mask for a column with label values (found by names such as mask or segmentation), which
    are stored exactly
    """
    image_list: Literal["first", "each"] = option("first", choices=("first", "each"))
    """where a row has a list of images: pack the first, or each as a sample of its own"""
    label_column: str | None = option(None, metavar="NAME")
    """column with the label; found by its type or name by default, '' for none"""
    extra_columns: tuple[str, ...] | None = option(None, names_from_text, metavar="A,B")
    """other columns to pack into the JSON; all except images and bytes by default, '' for none;
    NAME:TYPE sets the type of one that your function adds (string, int64, float64, bool, TYPE[])
    """
    with_text: str | None = option(None, metavar="NAME")
    """column with captions to pack as a member .txt, too, for open_clip and others; of a class
    label, the name of its class
    """
    cls: bool = option(False, switch_from)
    """pack the label as a member .cls, too, for DALI, timm and others; -1 without a label"""
    key_column: str | None = option(None, metavar="NAME")
    """column whose values become the keys of the samples; the row number by default"""
    image_root: str | None = option(None, metavar="DIR")
    """folder that image paths are relative to; the folder of the dataset by default"""
    zip_encoding: str | None = option(None, encoding_from_text, metavar="NAME")
    """encoding of names in zips that are not marked as UTF-8, such as gbk, shift_jis or cp437"""
    steps: tuple[str, ...] = option((), strings, metavar="NAME[=ARGS]", repeat="step")
    """built-in step; repeat it for several, in order (list: wdsremux steps)"""
    transform: str | None = option(None, metavar="FILE.py:NAME")
    """your function, as FILE.py:NAME or MODULE:NAME; runs after the steps"""
    eval_steps: tuple[str, ...] = option((), strings, metavar="NAME[=ARGS]", repeat="eval_step")
    """built-in step for the held-out splits (validation, val, dev, test, ...), which then get these
    steps and --eval-transform instead of --step and --transform; never a random step
    """
    eval_transform: str | None = option(None, function_from, metavar="FILE.py:NAME")
    """your function for the held-out splits, as FILE.py:NAME or MODULE:NAME, after --eval-step"""
    transform_mode: Literal["batch", "sample", "image"] = option(
        "batch", choices=("batch", "sample", "image")
    )
    """argument of your function: a dict of lists (batch), a dict (sample), or an image"""
    transform_input: Literal["pil", "numpy", "bytes"] = option(
        "pil", choices=("pil", "numpy", "bytes")
    )
    """images for your function: PIL, NumPy HxWx3 uint8 RGB, or the stored bytes"""
    batch_size: int = option(256, number_from(1), metavar="ROWS")
    """rows per call of a batch function"""
    batch_memory: int | None = option(256 * MB, size_from_text, show=text_from_size, metavar="SIZE")
    """a call of a batch function gets fewer rows once their images, all copies together, have this
    size (decoded: 3 bytes per pixel)
    """
    copies: int = option(1, number_from(1, 1000), metavar="N")
    """copies of every image, augmented differently, each in its own series of shards"""
    seed: int = option(42, number_from(0, 2**63 - 1), metavar="N")
    """seed of all random steps and of your function"""
    format: Literal["jpeg", "png", "webp"] = option("jpeg", choices=("jpeg", "png", "webp"))
    """format of the images in the shards"""
    quality: int = option(90, number_from(1, 100), metavar="1-100")
    """quality of JPEG and WebP"""
    subsampling: Literal["444", "422", "420"] = option("420", choices=("444", "422", "420"))
    """chroma subsampling of JPEG"""
    reencode: bool = option(False, switch_from)
    """decode and encode every image, even a JPEG that could be packed unchanged"""
    check: Literal["pixels", "structure", "none"] = option(
        "pixels", choices=("pixels", "structure", "none")
    )
    """how stored JPEGs that are packed unchanged are checked: decoded at 1/8 of the scale (pixels),
    complete by header and end marker (structure), or not beyond the header (none)
    """
    max_pixels: int = option(DEFAULT_MAX_PIXELS, number_from(1), metavar="N")
    """reject images with more pixels, or whose decode takes more than 8 bytes for each of these (at
    least 1.5 GB), before they are decoded
    """
    kernel: Literal["auto", "native", "portable"] = option(
        "auto", choices=("auto", "native", "portable")
    )
    """what transforms JPEGs: native is fast and needs a C extension (see wdsremux doctor), portable
    runs everywhere, and their pixels differ slightly; auto takes the kernel that OUT was started
    with, and for a new OUT native if it is built
    """
    matte: tuple[int, int, int] = option(
        (255, 255, 255), colour_from_text, show=text_from_colour, metavar="COLOUR"
    )
    """background of transparent images and of padding: a name or #rrggbb"""
    depth_range: tuple[float, float] | None = option(
        None, range_from_text, show=text_from_range, metavar="BLACK:WHITE"
    )
    """values that become black and white in images with more than 8 bits per value; by default
    0:65535 for integers and 0:1 for floats
    """
    max_shard_size: int | None = option(None, shard_size_from_text, metavar="SIZE")
    """upper bound of a shard file; by default 512MB, or 1/16 of its split if that is less (2MB or
    more)
    """
    max_shard_samples: int | None = option(None, number_from(1), metavar="N")
    """upper bound of the samples in a shard"""
    shards: int | None = option(None, number_from(1, 1_000_000), metavar="N")
    """make exactly N shards of each split, whose rows differ by at most one; where they would
    exceed --max-shard-size, the error says how many are needed
    """
    shards_multiple_of: int | None = option(None, number_from(1, 1_000_000), metavar="N")
    """as --shards, with a number that is a multiple of N, such as the number of GPUs, and suits the
    size of the source
    """
    lanes: int = option(1, number_from(1, 10_000), metavar="N")
    """let N processes or machines make one output (see --lane); a shard is made by one of them"""
    allow_oversize: bool = option(False, switch_from)
    """write a sample larger than --max-shard-size into its own shard; an error by default"""
    break_at: tuple[int, ...] = option((), rows_from, metavar="ROW", repeat="break_at")
    """start a new shard and a new batch at this row; --extend sets it where rows were added"""
    limit: int | None = option(None, number_from(1), metavar="N")
    """convert only the first N rows"""
    shuffle: int | None = option(None, number_from(0, 2**63 - 1), metavar="SEED")
    """convert the rows of each split in a random order, the same for the same seed; every row is
    written to temporary files first
    """
    where: str | None = option(None, condition_from_text, metavar="CONDITION")
    """convert only rows for which a condition on columns is true, such as "label in ['cat', 'dog']
    and width >= 256"; the others are listed as filtered, not as errors
    """
    min_size: int | None = option(None, number_from(1), metavar="PIXELS")
    """convert only images whose shorter side has at least this many pixels"""
    max_aspect: float | None = option(None, aspect_from_text, metavar="RATIO")
    """convert only images whose longer side is at most this many times the shorter one"""


def has_function(recipe: Recipe) -> bool:
    """Return whether a recipe names a function of the user."""
    return recipe.transform is not None or recipe.eval_transform is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Options):
    """Everything that decides only how the output is made: speed, time limits, reports."""

    workers: int | None = option(None, number_from(0), metavar="N")
    """parallel workers; 0 runs in this process; one per usable CPU by default"""
    engine: Literal["auto", "threads", "processes", "ray"] = option(
        "auto", choices=("auto", "threads", "processes", "ray")
    )
    """kind of workers; auto uses threads for built-in steps with up to 8 workers, and processes for
    more workers, for your function and after a run that crashed; ray makes lanes on the nodes of a
    cluster (see wdsremux help scale)
    """
    ray_address: str | None = option(None, metavar="HOST:PORT")
    """Ray cluster to use with --engine ray; by default the one of this machine"""
    cpus_per_lane: int | None = option(None, number_from(1), metavar="K")
    """CPUs that Ray assigns to a lane, which has as many workers; all of the smallest node by
    default
    """
    on_error: Literal["skip", "fail"] = option("skip", choices=("skip", "fail"))
    """skip bad records, or fail at the first one"""
    max_errors: ErrorLimit = option(ErrorLimit(percent=1.0), error_limit_from_text, metavar="N|P%")
    """stop with exit code 6 if more records than this are rejected for errors"""
    give_up_after: float = option(120.0, seconds_from_text, metavar="SECONDS")
    """time limit for a source or a remote output that does not answer; a Hub source that has
    answered in this run gets 30m by default
    """
    record_timeout: float = option(120.0, seconds_from_text, metavar="SECONDS")
    """time limit for one record (or one batch of your function); a record that exceeds it is
    rejected
    """
    staging: str | None = option(None, metavar="DIR")
    """folder for files that wait to be uploaded if OUT is a URL; in the system's temporary folder
    by default
    """
    staging_max: int = option(4000 * MB, size_from_text, show=text_from_size, metavar="SIZE")
    """maximum size of the staging folder; the conversion pauses while it is full"""
    scratch: str | None = option(None, metavar="DIR")
    """folder for the temporary files of --shuffle; in the system's temporary folder by default"""
    index: tuple[str, ...] = option((), names_from_text, metavar="KIND,...")
    """write the indexes of other loaders as well, without reading a shard again: dali, energon,
    webshart, timm, open_clip, or all (see wdsremux help loaders)
    """
    lane: str | None = option(None, metavar="I/N")
    """make only the shards of lane I of N, counted from 0; sets --lanes N (see wdsremux help scale)
    """
    sync_to: str | None = option(None, metavar="TO")
    """copy finished shards to a second destination during the run, as `wdsremux sync` does"""
    extend: bool = option(False, switch_from)
    """add shards for rows that were appended to the source of a finished output"""
    accept_function_change: bool = option(False, switch_from)
    """keep the finished shards of an unfinished output and continue with your function as it is
    now; the output records which rows the former one made
    """
    overwrite: bool = option(False, switch_from)
    """remove what an earlier run wrote to OUT (and nothing else), then start from scratch"""
    progress: Literal["auto", "bar", "log", "json", "none"] = option(
        "auto", choices=("auto", "bar", "log", "json", "none")
    )
    """how progress is shown; auto is a bar on a terminal, and a log line every 10 s elsewhere"""
