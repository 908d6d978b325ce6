"""The output of `convert --debug-row`: one row on its way through the user's function."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wdsremux.cli import console
from wdsremux.converting.debug_row import DebugRow, debug_row
from wdsremux.core.errors import RejectSample, TransformError
from wdsremux.core.escaping import escaped
from wdsremux.core.option_values import shortened, size
from wdsremux.core.recipe import Recipe, Run
from wdsremux.processing.opening import open_conversion
from wdsremux.processing.plan import Conversion
from wdsremux.transforms.function.errors import own_frames

_MAX_CHARS = 100


def show_row(source: str, out: str, recipe: Recipe, run: Run, row: int) -> int:
    """Print what happens to a row, and return the exit code; nothing is written."""
    conversion = open_conversion(source, out, recipe, run, recipe.transform)
    found = debug_row(conversion, row)
    console.out("\n".join(map(escaped, lines_of(found, conversion))))
    if found.error is not None and not isinstance(found.error, RejectSample):
        return TransformError.exit_code
    return 0


def lines_of(found: DebugRow, conversion: Conversion) -> Iterator[str]:
    """Yield what `--debug-row` prints."""
    job = conversion.job
    where = f" ({found.location})" if found.location else ""
    batch = (
        ""
        if found.batch is None
        else f", in the batch of rows {found.batch[0]} to {found.batch[1]}"
    )
    yield f"row {found.row} of {found.split!r}{where}{batch}"
    is_batch = found.batch is not None
    if found.label:
        yield f"input of {found.label}:"
        yield from _values(found.argument, found.index, is_batch=is_batch)
    if found.error is not None:
        yield from _error_lines(found.error)
        return
    if found.label:
        yield "returned:"
        yield from _values(found.returned, found.index, is_batch=is_batch)
    for item in found.rejected:
        how = "filtered" if item.stage == "filter" else f"rejected ({item.stage})"
        yield f"{how}: {item.reason}"
    for sample in found.samples:
        image = f"{sample.fields['width']} × {sample.fields['height']}, {size(sample.image_bytes)}"
        yield f"sample {sample.key!r}: {job.extensions[0]} {image}"
        yield from (f"  {name}: {_shown(value)}" for name, value in sample.fields.items())


def _values(value: Any, index: int, *, is_batch: bool) -> Iterator[str]:
    """Yield the columns of a dict; of a batch, how many values and the one of the row."""
    if not isinstance(value, Mapping):
        yield f"  {_shown(value)}"
        return
    for name, column in value.items():
        if is_batch and isinstance(column, Sequence) and not isinstance(column, str | bytes):
            of_row = _shown(column[index]) if index < len(column) else "none for this row"
            yield f"  {name}: {len(column)} values; of this row: {of_row}"
        else:
            yield f"  {name}: {_shown(column)}"


def _error_lines(error: Exception) -> Iterator[str]:
    """Yield the frames of the user's code, the innermost last, then the exception."""
    if isinstance(error, RejectSample):
        yield f"left out: your function raised RejectSample: {error}"
        return
    yield "your function raised:"
    frames = traceback.StackSummary.from_list([(*frame, None) for frame in own_frames(error)])
    for text in [*frames.format(), *traceback.format_exception_only(error)]:
        yield from (f"  {line}" for line in text.rstrip().splitlines())


def _shown(value: Any) -> str:
    """Describe a value: images and arrays by size and mode, others as Python writes them."""
    if hasattr(value, "mode") and hasattr(value, "size"):
        return f"{type(value).__name__}, {value.mode}, {value.size[0]} × {value.size[1]}"
    if hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape):
        shape = " × ".join(map(str, value.shape))
        return f"{type(value).__name__} of {value.dtype}, {shape}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return shortened(repr(value), _MAX_CHARS)
