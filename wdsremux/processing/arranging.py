"""Which rows are in which series, and in which order: --split, --split-ratio and --shuffle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import UsageError
from wdsremux.core.recipe import Recipe, Run
from wdsremux.processing.shuffling import Shuffler
from wdsremux.processing.splitting import SOURCE_ROW, SplitRows, ratio_from_text
from wdsremux.processing.tasks import SeriesRows, UnitsOf, series_from_text
from wdsremux.sources.base import Source


@dataclass(frozen=True, slots=True)
class Arranged:
    """The series of a conversion."""

    units: UnitsOf
    series: tuple[SeriesRows, ...]
    remarks: tuple[str, ...] = ()
    """What to say before the first row."""


def is_rearranged(recipe: Recipe) -> bool:
    """Return whether positions are not the row numbers of the source."""
    return recipe.shuffle is not None or recipe.split_ratio is not None


def with_source_row(features: Sequence[Column]) -> Sequence[Column]:
    """Return columns of a source with its row number, unless it has a column of that name."""
    if any(column.name == SOURCE_ROW for column in features):
        return features
    return (*features, Column(SOURCE_ROW, "int64"))


def without_source_row(columns: Columns, features: Sequence[Column]) -> Columns:
    """Return the chosen columns that the source itself has."""
    if any(column.name == SOURCE_ROW for column in features):
        return columns
    kept = tuple(column for column in columns.extras if column.name != SOURCE_ROW)
    return replace(columns, extras=kept)


def arranged(
    source: Source,
    columns: Columns,
    splits: Mapping[str, int | None],
    recipe: Recipe,
    run: Run,
) -> Arranged:
    """Return the series that the options select. Raises UsageError for those that do not fit."""
    series = series_from_text(recipe.split, splits)
    own = without_source_row(columns, source.features()) if is_rearranged(recipe) else columns
    found = Arranged(lambda split, start: source.units(split, own, start), series)
    if is_rearranged(recipe) and run.extend:
        option = "--shuffle" if recipe.shuffle is not None else "--split-ratio"
        raise UsageError(
            f"--extend cannot be combined with {option}: added rows belong between the others; "
            "convert into another OUT"
        )
    adds_row = own != columns
    if recipe.split_ratio is not None:
        found = _divided(found, columns, recipe, recipe.split_ratio, adds_row=adds_row)
        adds_row = False
    elif recipe.stratify:
        raise UsageError("--stratify needs --split-ratio")
    if recipe.shuffle is None:
        return found
    shuffler = Shuffler(found.units, found.series, recipe.shuffle, run.scratch, adds_row=adds_row)
    return Arranged(shuffler.units, shuffler.series, (shuffler.remark(),))


def _divided(
    found: Arranged, columns: Columns, recipe: Recipe, ratio: str, *, adds_row: bool
) -> Arranged:
    if len(found.series) > 1:
        names = "+".join(rows.name for rows in found.series)
        raise UsageError(
            f"--split-ratio divides the rows of one selection; write --split {names} to divide "
            "them together, or choose one split"
        )
    if recipe.stratify and columns.label is None:
        raise UsageError("--stratify needs a label; name its column with --label-column")
    label = columns.label.name if recipe.stratify and columns.label else None
    divided = SplitRows(
        found.units,
        found.series[0],
        ratio_from_text(ratio),
        key=columns.key,
        label=label,
        adds_row=adds_row,
    )
    return Arranged(divided.units, divided.series)
