"""Shards of known rows: `--shards N`, and the lanes of a conversion, each a run of such shards.

Shard i of n holds the rows from R × i / n to R × (i + 1) / n of its split, so every process knows
the name and the rows of every shard, and several can make different shards of one output at once.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wdsremux.core.errors import UsageError
from wdsremux.core.head import LANE_SHARDS, Head, fingerprint_of
from wdsremux.core.option_values import DEFAULT_SHARD_BYTES
from wdsremux.core.recipe import Recipe
from wdsremux.dataset.shards.series import split_of_prefix
from wdsremux.processing.tasks import SeriesRows

DEFAULT_SHARDS = 16
"""For each split, at least, without a number from the user."""
FILLED = 0.6
"""Share of --max-shard-size that shards of lanes are planned for: samples differ in size."""
ROWS_A_SHARD = 2000
"""Rows of a shard of lanes where the size of the source is not known."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One of several processes that make one output; they are counted from 0."""

    number: int
    lanes: int

    def shards(self, count: int) -> tuple[int, int]:
        """Return the first shard of this lane, and the shard after its last, of `count` shards."""
        return count * self.number // self.lanes, count * (self.number + 1) // self.lanes

    def __str__(self) -> str:
        """Return it as `--lane` takes it."""
        return f"{self.number}/{self.lanes}"


def lane_from_text(text: str) -> Lane:
    """Read "3/64": lane 3 of 64, counted from 0. Raises UsageError."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not match or int(match[1]) >= int(match[2]):
        raise UsageError(
            f"--lane {text!r} is not valid; write I/N with I from 0 to N - 1, such as 0/8"
        )
    return Lane(int(match[1]), int(match[2]))


def has_fixed_shards(recipe: Recipe) -> bool:
    """Return whether the number of shards depends on nothing but recipe and source."""
    return recipe.shards is not None or recipe.shards_multiple_of is not None


def refuse_hub(out: str | os.PathLike[str]) -> None:
    """Raise UsageError for an output that several processes cannot write to."""
    if os.fspath(out).startswith("hf://"):
        raise UsageError(
            "lanes cannot write to hf://: commits follow one another there; convert to a folder or "
            "an object store, then copy the output with wdsremux sync"
        )


def borders_of(
    series: Sequence[SeriesRows], first: int, recipe: Recipe, size_bytes: int | None
) -> tuple[tuple[int, ...], ...]:
    """Return, for each series, the positions at which its shards begin, and its end.

    `first` is the position of the first row, and `size_bytes` the size of the rows in the source,
    where it is known. Returns nothing where sizes alone decide. Raises UsageError.
    """
    if not has_fixed_shards(recipe) and recipe.lanes == 1:
        return ()
    option = "--shards" if recipe.shards is not None else "--lanes"
    if recipe.shards_multiple_of is not None:
        option = "--shards-multiple-of"
    _refuse_clashes(recipe, option)
    rows = [each.rows for each in series]
    if None in rows or not all(part.is_sure for each in series for part in each.ranges):
        raise UsageError(
            f"{option} needs the number of rows, which is not known before they are read (as with "
            "tars, streams, and --split-ratio with a key or label); convert without it"
        )
    counts = _limited([count or 0 for count in rows], recipe.limit)
    borders, base = [], first
    for each, count in zip(series, counts, strict=True):
        shards = _shards(each.name, count, sum(counts), recipe, size_bytes)
        borders.append(tuple(base + count * i // shards for i in range(shards + 1)))
        base += count
    return tuple(borders)


def with_lane_shards(head: Head, counts: Sequence[int]) -> Head:
    """Return a head that records the number of shards of each series, which lanes divide."""
    splits = dict.fromkeys(split_of_prefix(prefix, head.copies) for prefix in head.series)
    options = {**head.options, LANE_SHARDS: dict(zip(splits, counts, strict=True))}
    head = replace(head, options=options)
    return replace(head, fingerprint=fingerprint_of(head.to_json()))


def _refuse_clashes(recipe: Recipe, option: str) -> None:
    if recipe.break_at:
        raise UsageError(f"--break-at cannot be combined with {option}")
    if recipe.lanes > 1 and recipe.key_column is not None:
        raise UsageError(
            "--key-column cannot be combined with --lanes: no process sees all keys; leave it out "
            "(the column is in the JSON of each sample)"
        )
    if recipe.shards is not None and recipe.shards_multiple_of is not None:
        raise UsageError(
            "--shards cannot be combined with --shards-multiple-of: leave one of them out"
        )
    if recipe.shards is not None and recipe.shards < recipe.lanes:
        raise UsageError(
            f"--shards {recipe.shards} is less than --lanes {recipe.lanes}: each lane makes at "
            "least one shard"
        )


def _limited(counts: Sequence[int], limit: int | None) -> list[int]:
    """Return the rows of each series of which --limit leaves some."""
    left, found = sum(counts) if limit is None else limit, []
    for count in counts:
        found.append(min(count, left))
        left -= found[-1]
    return [count for count in found if count]


def _shards(name: str, rows: int, all_rows: int, recipe: Recipe, size_bytes: int | None) -> int:
    """Return the number of shards of a series."""
    shards = recipe.shards
    if recipe.shards_multiple_of is not None:
        return _multiple(name, rows, all_rows, recipe, size_bytes)
    if shards is None:
        by_size = ROWS_A_SHARD
        if size_bytes:
            max_bytes = recipe.max_shard_size or DEFAULT_SHARD_BYTES
            by_size = max(1, int(max_bytes * FILLED * all_rows / size_bytes))
        in_shard = min(by_size, recipe.max_shard_samples or by_size)
        return min(rows, recipe.lanes * -(-rows // (in_shard * recipe.lanes)))
    if shards > rows:
        raise UsageError(f"--shards {shards}: split {name!r} has only {rows} rows")
    most = -(-rows // shards)
    if recipe.max_shard_samples is not None and most > recipe.max_shard_samples:
        raise UsageError(
            f"--shards {shards} makes shards of {most} samples, more than --max-shard-samples "
            f"{recipe.max_shard_samples}; use --shards {-(-rows // recipe.max_shard_samples)}"
        )
    return shards


def _multiple(name: str, rows: int, all_rows: int, recipe: Recipe, size_bytes: int | None) -> int:
    """Return a multiple that is at least the default, and whose shards are likely to fit."""
    multiple = recipe.shards_multiple_of or 1
    if multiple > rows:
        raise UsageError(
            f"--shards-multiple-of {multiple}: split {name!r} has only {rows} rows; choose a "
            "smaller number"
        )
    max_bytes = recipe.max_shard_size or DEFAULT_SHARD_BYTES
    by_size = math.ceil((size_bytes or 0) * rows / all_rows / (max_bytes * FILLED))
    by_samples = -(-rows // (recipe.max_shard_samples or rows))
    least = max(DEFAULT_SHARDS, recipe.lanes, by_size, by_samples)
    if by_samples > rows // multiple * multiple or recipe.lanes > rows // multiple * multiple:
        raise UsageError(f"--shards-multiple-of {multiple}: split {name!r} has too few rows")
    # Of few rows, fewer shards rather than shards without one.
    return min(-(-least // multiple), rows // multiple) * multiple
