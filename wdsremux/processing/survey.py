"""Decides, before the first shard, which columns that the user's function adds are packed.

The first batch that has a column decides its type: the function runs on it once before the workers
start. So the columns do not depend on the number of workers, and `recipe.json` records them.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import tee
from typing import Any

from wdsremux.core.columns import INFERRED, RESERVED, Column, Dtype, fits_json
from wdsremux.core.errors import TransformError
from wdsremux.core.head import Head
from wdsremux.core.option_values import counted
from wdsremux.core.records import Batch, Rejected, Task, Unit
from wdsremux.processing.batch import BatchBuilder
from wdsremux.processing.engines.base import Engine
from wdsremux.processing.head import with_added_columns
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.plan import Conversion
from wdsremux.processing.recovery import Recovery, is_poison
from wdsremux.processing.tasks import UnitsOf
from wdsremux.processing.worker import Worker
from wdsremux.sources.inference import dtype_of, merged
from wdsremux.transforms.function.call import Row

MAX_BATCHES = 8
"""The function runs on up to this number of batches while a column has only nulls."""


def needs_survey(conversion: Conversion) -> bool:
    """Return whether columns of the function have no type yet."""
    columns = conversion.job.columns
    return columns.infers or any(column.dtype == INFERRED for column in columns.added)


def with_columns(
    conversion: Conversion, added: Sequence[Column], *, required: Sequence[str] | None = None
) -> Conversion:
    """Return the conversion with these added columns; None keeps the required ones."""
    columns = conversion.job.columns
    kept = columns.required if required is None else tuple(required)
    job = replace(conversion.job, columns=replace(columns, added=tuple(added), required=kept))
    return replace(conversion, job=job, head=with_added_columns(conversion.head, job))


def with_recorded_columns(conversion: Conversion, recorded: Head) -> Conversion:
    """Return the conversion with the added columns of an output that was begun."""
    dtypes: Mapping[str, Dtype] = recorded.options.get("added_columns", {})
    columns = conversion.job.columns
    if columns.infers:
        return with_columns(conversion, [Column(*item) for item in dtypes.items()])
    added = [
        replace(column, dtype=dtypes.get(column.name, INFERRED))
        if column.dtype == INFERRED
        else column
        for column in columns.added
    ]
    return with_columns(conversion, added)


def surveyed(conversion: Conversion, engine: Engine) -> Conversion:
    """Return the conversion with the columns that its function returns for the first batch.

    `engine` runs the function, best with one worker. Raises what the function's first batch raises,
    and TransformError if it does not return a column that the user named.
    """
    units = _RereadUnits(conversion.units)
    found = _look(replace(conversion, units=units.ahead), engine)
    columns = conversion.job.columns
    if columns.infers:
        packed, left = found.chosen(columns.label is None)
        added = tuple(Column(name, _settled(dtype)) for name, dtype in packed.items())
    else:
        left = {}
        added = tuple(
            replace(column, dtype=_settled(found.named(column.name, conversion)))
            if column.dtype == INFERRED
            else column
            for column in columns.added
        )
    conversion = with_columns(conversion, added)
    remarks = (*conversion.remarks, *_remarks(added if columns.infers else (), left))
    return replace(conversion, units=units, remarks=remarks, poison=(*found.poison.items(),))


@dataclass(slots=True)
class _Found:
    """What the function returned for the first batches, beside the columns of the source."""

    dtypes: dict[str, Dtype] = field(default_factory=dict)
    rows: int = 0
    """Rows that gave a sample."""
    poison: dict[int, str] = field(default_factory=dict)
    """Rows that killed a worker, and how: they must not cost their time limit again."""

    @property
    def is_settled(self) -> bool:
        """Whether every column has a type."""
        return self.rows > 0 and not any(map(_has_null, self.dtypes.values()))

    def chosen(self, label_is_free: bool) -> tuple[dict[str, Dtype], dict[str, str]]:  # noqa: FBT001 (one caller)
        """Return the columns to pack, and why others are not."""
        taken = {*RESERVED} - ({"label", "label_name"} if label_is_free else set())
        left = {
            name: "every sample has a field of this name"
            if name in taken
            else "an image, bytes, or values without a common type"
            for name, dtype in self.dtypes.items()
            if name in taken or not fits_json(dtype)
        }
        return {name: dtype for name, dtype in self.dtypes.items() if name not in left}, left

    def named(self, name: str, conversion: Conversion) -> Dtype:
        """Return the type of a column that the user named. Raises TransformError without it."""
        if name not in self.dtypes and self.rows:
            label = conversion.job.function.label if conversion.job.function else "the function"
            came = ", ".join(map(repr, self.dtypes)) or "none"
            raise TransformError(
                f"{label} does not return column {name!r} of --extra-columns (it adds: {came}); "
                "correct the name, or return the column"
            )
        return self.dtypes.get(name, "string")


def _look(conversion: Conversion, engine: Engine) -> _Found:
    """Run the function on the first batches, until every column has a type."""
    found = _Found()
    tasks = (
        replace(task, copy=0)
        for task in conversion.tasks(0, conversion.base, conversion.base, conversion.stop)
    )
    worker = partial(SurveyWorker, conversion.job)
    batches = engine.map(worker, tasks, Recovery(conversion.job.rows_a_call))
    try:
        for number, batch in enumerate(batches, start=1):
            found.rows += batch.rows - len({item.position for item in batch.rejected})
            found.poison |= {
                item.position: item.reason for item in batch.rejected if is_poison(item)
            }
            for name, dtype in batch.returned:
                found.dtypes[name] = merged(found.dtypes.get(name, "null"), dtype)
            if found.is_settled or number >= MAX_BATCHES:
                break
    finally:
        batches.close()
    return found


def add_dtypes(dtypes: dict[str, Dtype], fields: Mapping[str, Any], known: Container[str]) -> None:
    """Widen the types of columns by the values of one sample; `known` are those of the source."""
    for name, value in fields.items():
        if name not in known:
            dtypes[str(name)] = merged(dtypes.get(str(name), "null"), dtype_of(value))


class SurveyWorker(Worker):
    """Runs the function, and returns the types of the columns it adds instead of samples."""

    def __init__(self, job: WorkerJob) -> None:
        super().__init__(job)
        self._known = {*job.columns.read}
        self._dtypes: dict[str, Dtype] = {}

    def _sibling(self, job: WorkerJob) -> Worker:
        return SurveyWorker(job)

    def _take(
        self,
        read: Mapping[str, Any],  # noqa: ARG002 (as in a worker)
        outcome: Row | Rejected,
        copy: int,  # noqa: ARG002
        builder: BatchBuilder,
    ) -> None:
        if isinstance(outcome, Rejected):
            builder.rejected.append(outcome)
            return
        add_dtypes(self._dtypes, outcome.fields, self._known)

    def _batch(self, builder: BatchBuilder, task: Task) -> Batch:
        dtypes, self._dtypes = self._dtypes, {}
        return Batch(
            builder.first,
            len(builder.locations),
            (),
            tuple(builder.rejected),
            task.series,
            returned=tuple(dtypes.items()),
        )


class _RereadUnits:
    """The units of a source, of which the first are read ahead: some sources are read only once."""

    def __init__(self, units: UnitsOf) -> None:
        self._units = units
        self._held: tuple[tuple[str, int], Iterator[Unit]] | None = None

    def ahead(self, split: str, start: int) -> Iterator[Unit]:
        """Return units that the next call for the same rows returns again."""
        found, again = tee(self._units(split, start))
        self._held = ((split, start), again)
        return found

    def __call__(self, split: str, start: int) -> Iterator[Unit]:
        """Return units from a row on."""
        held, self._held = self._held, None
        if held is not None and held[0] == (split, start):
            return held[1]
        return self._units(split, start)


def _has_null(dtype: Dtype) -> bool:
    if isinstance(dtype, str):
        return dtype == "null"
    inner: Any = dtype.get("list", ())
    parts = dtype["struct"].values() if "struct" in dtype else [inner] if inner else []
    return any(map(_has_null, parts))


def _settled(dtype: Dtype) -> Dtype:
    """Return a type for a column that has no value: a string, as elsewhere."""
    return "string" if dtype == "null" else dtype


def _remarks(added: Sequence[Column], left: Mapping[str, str]) -> Iterator[str]:
    if added:
        names = ", ".join(f"{column.name} ({_word(column.dtype)})" for column in added)
        yield (
            f"{counted(len(added), 'column')} of your function packed too: {names}; "
            "--extra-columns selects other columns"
        )
    for name, why in left.items():
        yield f"column {name!r} of your function is not packed: {why}"


def _word(dtype: Dtype) -> str:
    if isinstance(dtype, str):
        return dtype
    return f"{_word(dtype['list'])}[]" if "list" in dtype else next(iter(dtype))
