"""Runs one row, or its batch, in this process, and keeps what went in and what came out.

For `convert --debug-row`: nothing is written, and an exception of the user's function is kept as it
was raised, so that it can be shown or examined in a debugger.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wdsremux.core.columns import RESERVED, Dtype, fits_json
from wdsremux.core.errors import UsageError
from wdsremux.core.json_values import converter
from wdsremux.core.option_values import counted
from wdsremux.core.records import Record, Rejected
from wdsremux.core.tar.ustar import member_offsets
from wdsremux.processing.batch import BatchBuilder
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.plan import Conversion
from wdsremux.processing.survey import add_dtypes
from wdsremux.processing.worker import Worker
from wdsremux.transforms.function.call import Row, detached_row


@dataclass(frozen=True, slots=True)
class DebugSample:
    """A sample as it would be packed."""

    key: str
    image_bytes: int
    fields: Mapping[str, Any]
    """Its JSON."""


@dataclass(slots=True)
class DebugRow:
    """What happened to one row of the first copy."""

    row: int
    split: str
    batch: tuple[int, int] | None = None
    """First and last row of the batch that the function got; None for a row on its own."""
    location: str | None = None
    """Where the row is stored."""
    argument: Any = None
    """What the function got."""
    index: int = 0
    """The number of the row in the batch."""
    label: str = ""
    """The name of the function."""
    returned: Any = None
    error: Exception | None = None
    """What the function raised."""
    samples: list[DebugSample] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def debug_row(conversion: Conversion, row: int) -> DebugRow:
    """Run the row of this position, with its batch. Raises UsageError if it is not converted."""
    base = conversion.base
    for number, series in enumerate(conversion.series):
        if row < base:
            break
        stop = conversion.batch_end(number, base, row + 1)
        stop = stop if conversion.stop is None else min(stop, conversion.stop)
        found = DebugRow(row, series.name)
        worker = _DebugWorker(conversion.job, found)
        for task in conversion.tasks(number, base, row, stop):
            for batch in worker(replace(task, copy=0)):
                if batch.first <= row < batch.first + batch.rows:
                    found.rejected = [item for item in batch.rejected if item.position == row]
                    return found
        if series.rows is None:
            break
        base += series.rows
    raise UsageError(f"--debug-row {row}: not a row of this conversion{_range(conversion)}")


def _range(conversion: Conversion) -> str:
    rows = conversion.rows
    if rows is None:
        return ""
    return f", which has {counted(rows, 'row')}, from {conversion.base} on"


class _DebugWorker(Worker):
    """Keeps what one row passes through."""

    def __init__(self, job: WorkerJob, found: DebugRow) -> None:
        self._debugged = found
        super().__init__(job)

    def _sibling(self, job: WorkerJob) -> Worker:
        return _DebugWorker(job, self._debugged)

    def _transformed(self, rows: list[Row], copy: int) -> Sequence[Row | Rejected]:
        found, positions = self._debugged, [row.position for row in rows]
        if found.row in positions:
            found.index = positions.index(found.row)
            if self._function is not None:
                if self._job.batches_rows:
                    found.batch = positions[0], positions[-1]
                else:
                    rows = [rows[found.index]]
                found.label = self._job.function.label if self._job.function else ""
                found.argument = self._function.argument([*map(detached_row, rows)])
                try:
                    found.returned = self._function.call([*map(detached_row, rows)], copy)
                except Exception as exc:  # noqa: BLE001 (it is shown to the user)
                    found.error = exc
                    return []
        outcomes = super()._transformed(rows, copy)
        if self._job.columns.infers:
            self._add_columns([outcome for outcome in outcomes if isinstance(outcome, Row)])
        return outcomes

    def _add_columns(self, outcomes: Sequence[Row]) -> None:
        """Pack the columns that the function adds, by the types that this batch shows."""
        columns = self._job.columns
        packed = (name for name, *_ in self._fields.extras)
        known = {*columns.read, *RESERVED, *packed}
        dtypes: dict[str, Dtype] = {}
        for outcome in outcomes:
            add_dtypes(dtypes, outcome.fields, known)
        fit = {name: dtype for name, dtype in dtypes.items() if fits_json(dtype)}
        self._fields.extras += [(name, name, converter(dtype)) for name, dtype in fit.items()]

    def _add(self, record: Record, builder: BatchBuilder) -> None:
        if record.position == self._debugged.row:
            self._debugged.location = record.location
        super()._add(record, builder)

    def _pack(self, row: Row, read: Mapping[str, Any], copy: int, builder: BatchBuilder) -> None:
        super()._pack(row, read, copy, builder)
        found = self._debugged
        if row.position == found.row:
            packer = builder.packers[copy]
            sizes, number = packer.members[-1], self._job.extensions.index("json")
            start = len(packer.payload) - packer.sizes[-1] + member_offsets(sizes)[number]
            fields = json.loads(packer.payload[start : start + sizes[number]])
            found.samples.append(DebugSample(packer.keys[-1], sizes[0], fields))
