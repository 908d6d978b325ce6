"""What the user asks for: the Recipe decides the bytes of the output, the Run only how it is made.

Each field is an option of the command line, of the TOML file and of `wdsremux.convert`; the text
under a field is its help.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypeVar

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import (
    DEFAULT_MAX_PIXELS,
    MB,
    ErrorLimit,
    colour_from_text,
    error_limit_from_text,
    names_from_text,
    number_from,
    rows_from,
    seconds_from_text,
    size_from_text,
    switch_from,
    text_from_colour,
    text_from_size,
    text_from_value,
    texts,
)

T = TypeVar("T")


def option(
    default: T,
    parse: Callable[[Any], Any] = str,
    *,
    show: Callable[[Any], str] = text_from_value,
    metavar: str = "",
    choices: tuple[str, ...] = (),
    repeat: str = "",
) -> T:
    """Declare an option: how its text is read and shown, and its flag when it is repeated."""
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
    """Reads any mix of texts and values into a frozen dataclass of options."""

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
            raise UsageError(f"{flag} is {value!r}; it can be {', '.join(meta['choices'])}")
        return parsed


KINDS = ("hub", "parquet", "saved", "folder", "tars", "demo", "loadable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Options):
    """Everything that decides the bytes of the output, but the source itself."""

    split: str = option("train", metavar="SPLIT")
    """rows to take: train, train+validation, train[:10%], train[1000:2000], or all"""
    subset: str | None = option(None, metavar="NAME")
    """configuration of the dataset, where it has several"""
    revision: str | None = option(None, metavar="REV")
    """commit, tag or branch of a Hub dataset; a branch is pinned to its commit"""
    source_kind: str | None = option(None, choices=KINDS)
    """what SOURCE is, where it is not recognised by itself"""
    image_column: str | None = option(None, metavar="NAME")
    """column with the image; found from the features"""
    label_column: str | None = option(None, metavar="NAME")
    """column with the label; found from the features, '' for none"""
    extra_columns: tuple[str, ...] | None = option(None, names_from_text, metavar="A,B")
    """other columns to pack into the JSON: all that JSON can hold by default, '' for none; one that
    your function adds is named as NAME or NAME:TYPE (string, int64, float64, bool; [] for lists)
    """
    key_column: str | None = option(None, metavar="NAME")
    """column whose text names the samples, made safe; the row number by default"""
    image_root: str | None = option(None, metavar="DIR")
    """folder that a path column is relative to; the dataset's own folder by default"""
    steps: tuple[str, ...] = option((), texts, metavar="NAME[=ARGS]", repeat="step")
    """built-in step, in order; may be repeated (see wdsremux steps)"""
    transform: str | None = option(None, metavar="FILE.py:NAME")
    """your function, as FILE.py:NAME or MODULE:NAME; it runs after the steps"""
    transform_mode: Literal["batch", "sample", "image"] = option(
        "batch", choices=("batch", "sample", "image")
    )
    """what your function takes: a dict of lists, a dict, or an image"""
    transform_input: Literal["pil", "numpy", "bytes"] = option(
        "pil", choices=("pil", "numpy", "bytes")
    )
    """how your function gets images: PIL, NumPy HxWx3 uint8 RGB, or the stored bytes"""
    batch_size: int = option(256, number_from(1), metavar="ROWS")
    """rows that a batch function sees together"""
    copies: int = option(1, number_from(1, 1000), metavar="N")
    """differently augmented copies of every image, each its own series of shards"""
    seed: int = option(42, number_from(0, 2**63 - 1), metavar="N")
    """seed of all randomness"""
    format: Literal["jpeg", "png", "webp"] = option("jpeg", choices=("jpeg", "png", "webp"))
    """image format in the shards"""
    quality: int = option(90, number_from(1, 100), metavar="1-100")
    """quality of JPEG and WebP"""
    subsampling: Literal["444", "422", "420"] = option("420", choices=("444", "422", "420"))
    """chroma subsampling of JPEG"""
    reencode: bool = option(False, switch_from)
    """encode anew even where a stored JPEG could be packed as it is"""
    max_pixels: int = option(DEFAULT_MAX_PIXELS, number_from(1), metavar="N")
    """images with more pixels are rejected before they are decoded"""
    kernel: Literal["auto", "native", "portable"] = option(
        "auto", choices=("auto", "native", "portable")
    )
    """what works on JPEGs: native needs the C extension (see wdsremux doctor), portable runs
    everywhere; their pixels differ slightly; auto takes what OUT was begun with, else the native
    one where it is built
    """
    matte: tuple[int, int, int] = option(
        (255, 255, 255), colour_from_text, show=text_from_colour, metavar="COLOUR"
    )
    """colour behind transparency and in padding: a name or #rrggbb"""
    max_shard_size: int = option(512 * MB, size_from_text, show=text_from_size, metavar="SIZE")
    """no shard file is larger; MB is 10^6 bytes, MiB is 2^20"""
    max_shard_samples: int | None = option(None, number_from(1), metavar="N")
    """no shard holds more samples"""
    allow_oversize: bool = option(False, switch_from)
    """a sample larger than --max-shard-size gets a shard of its own instead of an error"""
    break_at: tuple[int, ...] = option((), rows_from, metavar="ROW", repeat="break_at")
    """begin a new shard, and a new batch, at this row; --extend notes here where rows were added"""
    limit: int | None = option(None, number_from(1), metavar="N")
    """stop after N rows"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Options):
    """Everything that decides only how the output is made: speed, patience, reports."""

    workers: int | None = option(None, number_from(0), metavar="N")
    """parallel workers; 0 works in this process; as many as CPUs this process may use by default"""
    engine: Literal["auto", "threads", "processes"] = option(
        "auto", choices=("auto", "threads", "processes")
    )
    """what the workers are; auto takes threads for built-in steps, and processes for your function
    and after a run that crashed
    """
    on_error: Literal["skip", "fail"] = option("skip", choices=("skip", "fail"))
    """leave a bad record out and go on, or stop at the first"""
    max_errors: ErrorLimit = option(ErrorLimit(percent=1.0), error_limit_from_text, metavar="N|P%")
    """stop (exit 6) when more records than this were rejected for errors"""
    give_up_after: float = option(120.0, seconds_from_text, metavar="SECONDS")
    """give up on a source, or an output behind a network, that has not answered for so long"""
    record_timeout: float = option(120.0, seconds_from_text, metavar="SECONDS")
    """so long may a record, or a batch that your function sees together, take in a worker process;
    the record that takes longer is found and rejected
    """
    staging: str | None = option(None, metavar="DIR")
    """folder where files wait to be sent when OUT is a URL; one in the system's temporary folder by
    default
    """
    staging_max: int = option(4000 * MB, size_from_text, show=text_from_size, metavar="SIZE")
    """so much may wait there, then the conversion waits too; shards being written count"""
    sync_to: str | None = option(None, metavar="TO")
    """carry the output to a second place while it is made; what `wdsremux sync` takes"""
    extend: bool = option(False, switch_from)
    """add shards for files that came to the source behind those of a finished output"""
    overwrite: bool = option(False, switch_from)
    """remove what an earlier run wrote to OUT (and nothing else), then start anew"""
    progress: Literal["auto", "bar", "log", "json", "none"] = option(
        "auto", choices=("auto", "bar", "log", "json", "none")
    )
    """a bar on a terminal, a line every 10 s elsewhere"""
