"""Which rows of a source a run converts, and how they are divided into tasks.

The split expression selects one or more series; each is a chain of row ranges. Positions are row
numbers of the first split; further ranges and series continue the count, so that a position is
unique in the output.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wdsremux.core.errors import SourceError, UsageError
from wdsremux.core.option_values import counted, did_you_mean
from wdsremux.core.recipe import Recipe
from wdsremux.core.records import Piece, Task, Unit

HELD_OUT = re.compile(
    r"(val(id(ation)?)?|dev(elopment)?|test(ing)?|eval(uation)?|held?[_-]?out|holdout)([_.-].*|\d*)",
    re.IGNORECASE,
)
"""Names of splits that measure a model: --eval-step and --eval-transform are theirs."""

UnitsOf = Callable[[str, int], Iterator[Unit]]
"""`units(split, start)` of a source, for the chosen columns."""

TASK_ROWS = 256
TASK_BYTES = 8 * 10**6
"""A task is closed at this number of rows or bytes: small row groups share a task."""


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows start..stop-1 of a split; stop is None for the end of a split of unknown length."""

    split: str
    start: int = 0
    stop: int | None = None
    is_sure: bool = True
    """Whether the split is known to have `stop` rows."""


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """The rows of one series of shards."""

    name: str
    ranges: tuple[RowRange, ...]

    @property
    def is_held_out(self) -> bool:
        """Whether its rows measure a model, by the names of their splits."""
        return all(HELD_OUT.fullmatch(each.split) for each in self.ranges)

    @property
    def rows(self) -> int | None:
        """Number of rows, where every length is known."""
        known = [r.stop - r.start for r in self.ranges if r.stop is not None]
        return sum(known) if len(known) == len(self.ranges) else None


def series_from_text(text: str, splits: Mapping[str, int | None]) -> tuple[SeriesRows, ...]:
    """Read a split expression: NAME, NAME[a:b], NAME[:10%], A+B, or "all".

    Raises UsageError for an unknown split or a slice that cannot be computed, SourceError for a
    split whose name cannot be part of a file name.
    """
    if text.strip() == "all":
        every = (RowRange(name, 0, rows) for name, rows in splits.items())
        return tuple(SeriesRows(_series_name([each.split]), (each,)) for each in every)
    ranges = tuple(_range_from_text(part.strip(), splits) for part in text.split("+"))
    return (SeriesRows(_series_name([each.split for each in ranges]), ranges),)


def remarks_on_splits(text: str, splits: Mapping[str, int | None]) -> tuple[str, ...]:
    """Return a note on the splits that are left out by default."""
    if text != Recipe().split:
        return ()
    left = [
        name if rows is None else f"{name} ({counted(rows, 'row')})"
        for name, rows in splits.items()
        if name != text
    ]
    if not left:
        return ()
    noun = "split" if len(left) == 1 else "splits"
    return (f"{noun} left out: {', '.join(left)}; --split all converts every split",)


def _series_name(splits: Sequence[str]) -> str:
    """Return the name of a series: its splits. It comes from data and is part of file names."""
    name = "_".join(dict.fromkeys(splits))
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise SourceError(
            f"split name {name!r} cannot be part of a file name; choose other splits with "
            "--split, or rename it in the source"
        )
    return name


def _range_from_text(text: str, splits: Mapping[str, int | None]) -> RowRange:
    match = re.fullmatch(r"([^\[\]]+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?", text)
    if not match:
        raise UsageError(
            f"--split {text!r} is not valid; write train, train[:10%], train[1000:2000], "
            "train+validation or all"
        )
    name = match[1]
    if name not in splits:
        raise UsageError(
            f"--split {name!r}: not a split of the source{did_you_mean(name, splits)}; "
            f"it has {', '.join(splits)}"
        )
    rows = splits[name]
    start = 0 if match[2] is None else _row_from_text(match[2], rows, text)
    stop = rows if match[3] is None else _row_from_text(match[3], rows, text)
    if stop is not None and stop <= start:
        why = f"{name!r} has {rows} rows" if rows is not None else "it stops before it starts"
        raise UsageError(f"--split {text!r} selects no rows: {why}")
    return RowRange(name, start, stop, is_sure=rows is not None)


def _row_from_text(text: str, rows: int | None, slice_text: str) -> int:
    if rows is None:
        if text.endswith("%") or text.startswith("-"):
            raise UsageError(
                f"--split {slice_text!r}: the number of rows of this source is unknown; write row "
                "numbers instead of percentages"
            )
        return int(text)
    row = round(int(text[:-1]) * rows / 100) if text.endswith("%") else int(text)
    return min(max(row + rows if text.startswith("-") else row, 0), rows)


def pieces(
    units_of: UnitsOf, rows: SeriesRows, base: int, start: int, limit: int | None = None
) -> Iterator[Piece]:
    """Yield the pieces of a series in order, positions start..limit-1.

    `base` is the position of the series' first row.
    """
    for row_range in rows.ranges:
        shift = base - row_range.start
        skip = max(row_range.start, start - shift)
        known_stop = row_range.stop if row_range.is_sure else None
        # Without a known length the skipped rows must be read to count them.
        begin = row_range.start if known_stop is None else skip
        end = row_range.start
        for unit in units_of(row_range.split, begin):
            stop = unit.rows
            if row_range.stop is not None:
                stop = min(stop, row_range.stop - unit.first)
            if limit is not None:
                stop = min(stop, limit - shift - unit.first)
            if stop <= 0:
                break
            end = unit.first + stop
            if end > skip:
                low = max(0, skip - unit.first)
                yield Piece(_shifted(unit, shift), low, stop)
        base = (end if known_stop is None else known_stop) + shift


def _shifted(unit: Unit, shift: int) -> Unit:
    # The contract of units: frozen dataclasses with a field `first`.
    return replace(unit, first=unit.first + shift) if shift else unit  # type: ignore[type-var]


def tasks(found: Iterator[Piece], batch_rows: int, series: int) -> Iterator[Task]:
    """Join pieces into tasks that end after a multiple of `batch_rows` rows.

    A batch that crosses the end of a unit takes the first rows of the next one: only those are read
    twice.
    """
    pieces: list[Piece] = []
    rows = size = 0
    for piece in found:
        rest = piece
        if pieces and (rows >= TASK_ROWS or size >= TASK_BYTES):
            need = -rows % batch_rows
            if need >= piece.rows:
                pieces.append(piece)
                rows += piece.rows
                continue
            if need:
                pieces.append(replace(piece, stop=piece.start + need))
                rest = replace(piece, start=piece.start + need)
            yield Task(tuple(pieces), series)
            pieces, rows, size = [], 0, 0
        pieces.append(rest)
        rows += rest.rows
        size += rest.unit.size_bytes * rest.rows // rest.unit.rows
    if pieces:
        yield Task(tuple(pieces), series)
