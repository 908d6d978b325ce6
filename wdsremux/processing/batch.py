"""The state of a batch while a worker builds it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wdsremux.core.columns import RESERVED, Columns, fits_json
from wdsremux.core.errors import TransformError
from wdsremux.core.heartbeat import Worked, signal
from wdsremux.core.json_values import Convert, ValueFormError
from wdsremux.core.records import Record, Rejected, Remark, Stage
from wdsremux.dataset.shards.packing import SamplePacker
from wdsremux.sources.inference import dtype_of
from wdsremux.transforms.function.call import Row

MAX_REMARKS = 32
"""For one batch; bounded, since they may contain names from the source."""


class RejectedRecordError(Exception):
    """Ends the processing of one record; the reason is recorded."""

    def __init__(self, stage: Stage, reason: str) -> None:
        """`stage` is where the record failed."""
        super().__init__(reason)
        self.stage: Stage = stage
        self.reason = reason


class RejectedFieldError(RejectedRecordError):
    """Ends the processing of a record with a value that does not have its column's type."""

    def __init__(self, column: str, convert: Convert, problem: ValueFormError) -> None:
        """`convert` is the converter that raised `problem`."""
        super().__init__("read", f"column {column!r}: {problem}")
        self._column, self._convert = column, convert

    def attribute(self, read: Mapping[str, Any]) -> None:
        """Set the stage: the user's function, unless the value was wrong as it was read."""
        try:
            self._convert(read[self._column])
        except ValueFormError:
            return
        except KeyError:  # the function has added the column
            pass
        self.stage = "transform"


@dataclass(slots=True)
class BatchBuilder:
    """Collects the samples and rejects of a batch."""

    packers: list[SamplePacker]
    copies: Sequence[int]
    """The copies to make."""
    poison: Mapping[int, str]
    reported_rows: int = 0
    """Rows that were reported to the run as done."""
    rejected: list[Rejected] = field(default_factory=list)
    remarks: dict[str, Remark] = field(default_factory=dict)
    expanded: list[tuple[int, int, int]] = field(default_factory=list)
    """As in `Batch`."""
    locations: dict[int, str | None] = field(default_factory=dict)
    """Where each row of the batch is stored, by its position."""
    input_bytes: int = 0
    """Stored image bytes read."""
    row_bytes: int = 0
    """Bytes of the images of all rows, as the function gets them."""
    rows: list[list[Row]] = field(init=False)
    """For each copy, the rows that wait for the function."""

    def __post_init__(self) -> None:
        self.rows = [[] for _ in self.copies]

    @property
    def first(self) -> int:
        """Position of the first row."""
        return next(iter(self.locations))

    @property
    def stop(self) -> int:
        """Position behind the last row."""
        return next(reversed(self.locations)) + 1

    @property
    def only_row(self) -> int | None:
        """Position of the row that waits for the function, if it is one."""
        waiting = {row.position for rows in self.rows for row in rows}
        return waiting.pop() if len(waiting) == 1 else None

    def begin(self, record: Record) -> None:
        """Count a record, whose image is not kept."""
        self.locations[record.position] = record.location
        self.input_bytes += len(record.image or b"")

    def taken_rows(self) -> list[list[Row]]:
        """Return the rows that wait, which no longer do."""
        rows, self.rows = self.rows, [[] for _ in self.copies]
        return rows

    def remark(self, position: int, text: str, count: int = 1) -> None:
        """Count what was seen in a row; beyond a number of messages, others are not kept."""
        known = self.remarks.get(text)
        if known is not None:
            self.remarks[text] = replace(known, count=known.count + count)
        elif len(self.remarks) < MAX_REMARKS:
            self.remarks[text] = Remark(text, position, count)

    def report_rows(self, stop: int) -> None:
        """Report the rows before a position as done."""
        rows = stop - self.first - self.reported_rows
        if rows > 0:
            self.reported_rows += rows
            signal(Worked(rows))

    def reject(self, position: int, copies: Iterable[int], error: RejectedRecordError) -> None:
        """Record for each copy that a record is left out."""
        self.rejected.extend(Rejected(position, copy, error.stage, error.reason) for copy in copies)

    def rejected_in_order(self) -> tuple[Rejected, ...]:
        """Return the rejects in order; their reasons name the file of the row.

        The reasons of rows that the user leaves out or that killed a worker are not changed.
        """
        if not self.rejected:
            return ()
        found = sorted(self.rejected, key=lambda item: (item.position, item.copy))
        return tuple(
            item
            if item.position in self.poison
            else _located(item, self.locations.get(item.position))
            for item in found
        )


def _located(item: Rejected, location: str | None) -> Rejected:
    if location is None or item.stage == "filter" or location in item.reason:
        return item
    return replace(item, reason=f"{item.reason} (in {location})")


class AddedColumns:
    """Checks the columns that the user's function returned beside the image."""

    def __init__(self, label: str, columns: Columns) -> None:
        """`label` names the function."""
        self._label = label
        self._read = frozenset(columns.fields)
        self._required = frozenset(columns.required)
        self._infers = columns.infers
        self._known = self._read | {*RESERVED, *(column.name for column in columns.added)}

    def late(self, fields: Mapping[str, Any], position: int) -> Iterator[str]:
        """Yield a remark for each column that the function begins to add after the first batch.

        Raises TransformError if a column is missing that it must add: a misspelt name would be null
        in every sample.
        """
        missing = sorted(self._required - fields.keys())
        if missing:
            came = ", ".join(repr(name) for name in fields if name not in self._read) or "none"
            raise TransformError(
                f"{self._label} does not return column {missing[0]!r} that an option names for "
                f"row {position} (it adds: {came}); correct the name, or return the column for "
                "every row, with None for a missing value"
            )
        if self._infers:
            for name in sorted(fields.keys() - self._known, key=str):
                # Images and bytes were never to be packed; a null may become anything.
                if fields[name] is not None and fits_json(dtype_of(fields[name])):
                    yield (
                        f"column {str(name)!r} of your function is not packed: the first batch did "
                        "not have it; return it from the first row on, or name it in "
                        f"--extra-columns as {name}:TYPE, with another OUT"
                    )
