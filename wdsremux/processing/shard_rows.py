"""How many rows a shard of the default size covers, so that every split has enough shards.

A loader assigns whole shards to its workers. By default a shard therefore ends after a sixteenth
of the rows of its split, where the source knows their number, or at 512 MB, whichever comes first.
It has at least `bounds.MIN_BYTES`: a small split has fewer shards rather than tiny ones.

The rule depends on rows and sizes only, never on a guess about the output. The number of rows is
part of the recipe, so that a source that grows does not change the shards that exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from wdsremux.core.head import SHARD_ROWS, Head, fingerprint_of
from wdsremux.core.recipe import Recipe
from wdsremux.processing.even_shards import DEFAULT_SHARDS, has_fixed_shards
from wdsremux.processing.plan import Conversion
from wdsremux.processing.tasks import SeriesRows


def has_default_size(recipe: Recipe) -> bool:
    """Return whether the user left the size of shards to wdsremux."""
    by_rows = has_fixed_shards(recipe) or recipe.lanes > 1
    return recipe.max_shard_size is None and recipe.max_shard_samples is None and not by_rows


def default_shard_rows(series: Sequence[SeriesRows], limit: int | None) -> dict[str, int]:
    """Return the rows of a shard by series, without those whose number of rows is not known."""
    found: dict[str, int] = {}
    left = limit
    for each in series:
        rows = each.rows
        if rows is None:
            # Nor is it known where the series after it begin, which --limit counts from the first.
            if limit is not None:
                break
            continue
        if left is not None:
            rows, left = min(rows, left), max(0, left - rows)
        if rows:
            found[each.name] = rows_of_a_shard(rows)
    return found


def rows_of_a_shard(rows: int) -> int:
    """Return the largest number of rows that divides a split into at least 16 shards."""
    even = -(-rows // DEFAULT_SHARDS)
    return even if -(-rows // even) >= DEFAULT_SHARDS else max(1, rows // DEFAULT_SHARDS)


def least_shards(conversion: Conversion) -> int:
    """Return the number of shards that the rows make of all series, if none is small."""
    if conversion.borders:
        return sum(len(each) - 1 for each in conversion.borders) * conversion.job.copies
    return DEFAULT_SHARDS * len(conversion.shard_rows) * conversion.job.copies


def with_shard_rows(conversion: Conversion, shard_rows: Mapping[str, int]) -> Conversion:
    """Return the conversion with these rows of a shard, and the fingerprint that belongs to them.

    Without any the option is left out, as in outputs that are older than it.
    """
    options = {name: value for name, value in conversion.head.options.items() if name != SHARD_ROWS}
    if shard_rows:
        options[SHARD_ROWS] = dict(shard_rows)
    head = replace(conversion.head, options=options)
    head = replace(head, fingerprint=fingerprint_of(head.to_json()))
    return replace(conversion, head=head, shard_rows=dict(shard_rows))


def with_recorded_shard_rows(conversion: Conversion, recorded: Head) -> Conversion:
    """Return the conversion with the rows of a shard that its output was started with.

    A size that the user passes is kept; where it differs, it is refused later.
    """
    if not conversion.has_default_size:
        return conversion
    return with_shard_rows(conversion, recorded.options.get(SHARD_ROWS, {}))
