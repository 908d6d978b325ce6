"""Runs the user's function on decoded rows: per batch, per sample or per image.

The last stage before the encoder. A record that the function fails on is rejected with the
exception as the reason; a function that breaks its contract ends the run with one clear error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from wdsremux.core.errors import RejectSample, TransformError, UsageError
from wdsremux.core.heartbeat import at_row, heartbeat
from wdsremux.core.image_columns import ImageColumn
from wdsremux.core.option_values import counted
from wdsremux.core.records import Rejected, Stage
from wdsremux.transforms.codecs.profiles import ProfileCache
from wdsremux.transforms.function.argument import Arguments
from wdsremux.transforms.function.errors import described, ending_by, may_be_an_interrupt, text_of
from wdsremux.transforms.function.randomness import Randomness, requested_streams
from wdsremux.transforms.function.returned import (
    UnusableImageError,
    WrongReturnError,
    image_from_returned,
    mask_from_returned,
)
from wdsremux.transforms.function.returned_columns import (
    columns_from_returned,
    forgot_image,
    kind_of,
    rows_of_samples,
)
from wdsremux.transforms.function.row import Call, Input, Mode, Picked, Row, detached_row
from wdsremux.transforms.function.spec import (
    FunctionSpec,
    function_from_callable,
    function_from_text,
)

__all__ = [
    "FunctionSpec",
    "Input",
    "Mode",
    "Picked",
    "Row",
    "UserFunction",
    "detached_row",
    "function_from_callable",
    "function_from_text",
]

_LEFT_OUT = "left out by the function"
_MIN_FAILED_ROWS = 4
"""A batch with fewer rows may hold only bad records: failing on all of them ends no run."""


class UserFunction:
    """A loaded function; one per worker, for one thread at a time.

    Per batch, it maps a dict of lists to a dict of lists as `datasets.map(batched=True)` does: the
    columns it returns replace or extend those it got, the others stay, and None in the image column
    leaves a row out; all columns together may also have another number of values. Per sample, a
    dict becomes a dict, or None; per image, an image becomes an image, or None.

    Randomness belongs to (seed, copy, position): a function with a parameter `rng` gets a
    `numpy.random.Generator` (per batch that of the first row; with `rngs` a list, one per row), and
    before each call the global generators are seeded, see `Randomness`.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        mode: Mode,
        input: Input,  # noqa: A002 (the option is called so)
        image: str | Sequence[ImageColumn],
        seed: int,
        *,
        matte: tuple[int, int, int] = (255, 255, 255),
    ) -> None:
        """Load the function; raises what `FunctionSpec.load` raises.

        `image` is the column with the image, or all image columns of a sample, the main one first.
        Raises UsageError if the function cannot be called with its argument.
        """
        if mode not in get_args(Mode) or input not in get_args(Input):
            raise UsageError(f"transform mode {mode!r} or input {input!r} does not exist")
        self._spec = spec
        self._mode = mode
        main, *others = [ImageColumn(image, is_mask=False)] if isinstance(image, str) else image
        self._image_column = main.name
        self._others = others
        self._image_names = (main.name, *(column.name for column in others))
        self._seed = seed
        self._matte = matte
        self._profiles = ProfileCache()
        self._function = spec.load()
        wanted = requested_streams(self._function, mode, spec.label)
        self._arguments = Arguments(mode, input, self._image_names, seed, wanted)
        self._randomness = Randomness(self._function)
        self._remarks: list[tuple[int, str]] = []

    def taken_remarks(self) -> list[tuple[int, str]]:
        """Return what runs since the last call should report: row and message."""
        remarks, self._remarks = self._remarks, []
        return remarks

    def argument(self, rows: Sequence[Row]) -> Any:
        """Return what the function gets for rows: all of a batch, or one."""
        return self._given(rows)

    def call(self, rows: Sequence[Row], copy: int) -> Any:
        """Return what the function returns for rows, unchecked. Raises what it raises."""
        return self._called(Call(rows, copy))

    def run(self, rows: Sequence[Row], copy: int) -> list[Row | Rejected]:
        """Return the outcome of each row, in order; of each sample, where their numbers differ.

        Per batch all rows are one call; if it raises, each row is one. Returned rows hold H×W×3
        uint8 RGB or encoded bytes; use them before the next run, as the function may fill the same
        array again. Raises TransformError if the function breaks its contract, or if it fails on a
        batch and on every row of it alone.
        """
        if not rows:
            return []
        if self._mode == "batch":
            return self._batch(Call(rows, copy))
        if len(rows) == 1:
            return [self._single(Call(rows, copy))]
        return [_kept(self._single(Call([row], copy))) for row in rows]

    def _batch(self, call: Call) -> list[Row | Rejected]:
        try:
            return self._batch_outcomes(call)
        except TransformError:
            raise
        except Exception as exc:  # noqa: BLE001 (this is the boundary to the user's code)
            if len(call.rows) == 1:
                return [self._failed(call, exc)]
            reason = described(exc, self._spec.file)
        return self._row_by_row(call, reason)

    def _row_by_row(self, batch: Call, reason: str) -> list[Row | Rejected]:
        """Call the function with each row of a batch that it failed on, for a reason.

        Raises TransformError if it fails on every row: then no single record is at fault.
        """
        outcomes: list[Row | Rejected] = []
        failures: list[Exception] = []
        for row in batch.rows:
            call = Call([row], batch.copy)
            heartbeat()
            at_row(row.position)
            try:
                outcomes += map(_kept, self._batch_outcomes(call))
            except TransformError:
                raise
            except Exception as exc:  # noqa: BLE001 (this is the boundary to the user's code)
                suffix = f"; {batch.where} were run one by one because the batch failed"
                outcomes.append(self._failed(call, exc, suffix))
                failures += [] if isinstance(exc, RejectSample) else [exc]
        if len(failures) == len(batch.rows) >= _MIN_FAILED_ROWS:
            raise TransformError(
                f"{self._spec.label} failed on {batch.where}, together and one by one: "
                f"{described(failures[0], self._spec.file)}; fix it, and try it on a few "
                "rows with --workers 0 --limit 5"
            ) from failures[0]
        if not any(isinstance(each, Rejected) for each in outcomes):
            text = "your function failed on a batch, but on none of its rows alone: they were run "
            self._remarks.append((batch.rows[0].position, f"{text}one by one ({reason})"))
        return outcomes

    def _failed(self, call: Call, exc: Exception, suffix: str = "") -> Rejected:
        """Return the reject of a row that the function raised on, alone."""
        row = call.rows[0]
        if isinstance(exc, RejectSample):
            return _rejected(row, call.copy, "filter", text_of(exc) or _LEFT_OUT)
        reason = described(exc, self._spec.file) + suffix
        return _rejected(row, call.copy, "transform", reason)

    def _batch_outcomes(self, call: Call) -> list[Row | Rejected]:
        names = {name for row in call.rows for name in (*row.fields, *row.others)}
        try:
            columns = columns_from_returned(
                self._called(call), self._image_names, names, len(call.rows)
            )
        except WrongReturnError as exc:
            raise self._broken(call, f"returned {exc}") from exc
        images = columns.pop(self._image_column)
        if len(images) != len(call.rows):
            return self._regrouped(call, images, columns)
        outcomes: list[Row | Rejected] = []
        for index, row in enumerate(call.rows):
            fields = row.fields | {name: values[index] for name, values in columns.items()}
            outcomes.append(self._outcome(row, images[index], fields, call.copy))
        return outcomes

    def _regrouped(
        self, call: Call, images: Sequence[Any], columns: Mapping[str, Sequence[Any]]
    ) -> list[Row | Rejected]:
        """Return the outcomes of another number of samples than rows.

        A row that no sample counts for is left out.
        """
        owners = rows_of_samples(len(images), len(call.rows))
        outcomes: list[Row | Rejected] = []
        for index, owner in enumerate(owners):
            fields = {name: values[index] for name, values in columns.items()}
            outcome = self._outcome(call.rows[owner], images[index], fields, call.copy)
            if isinstance(outcome, Row):
                outcome = replace(outcome, number=(call.rows[0].position, index))
            outcomes.append(outcome)
        reason = f"the function returned {counted(len(images), 'sample')} for {call.where}"
        left = (row for number, row in enumerate(call.rows) if number not in {*owners})
        return [*outcomes, *(_rejected(row, call.copy, "filter", reason) for row in left)]

    def _single(self, call: Call) -> Row | Rejected:
        row = call.rows[0]
        try:
            returned = self._called(call)
        except TransformError:
            raise
        except Exception as exc:  # noqa: BLE001 (this is the boundary to the user's code)
            return self._failed(call, exc)
        if returned is None:
            return _rejected(row, call.copy, "filter", _LEFT_OUT)
        if self._mode == "image":
            return self._outcome(row, returned, row.fields, call.copy)
        if not isinstance(returned, Mapping):
            raise self._broken(call, f"returned {kind_of(returned)}; return a dict, or None")
        if self._image_column not in returned:
            raise self._broken(call, f"returned {forgot_image(returned, self._image_column)}")
        fields = row.fields | dict(returned)
        image = fields.pop(self._image_column)
        return self._outcome(row, image, fields, call.copy)

    def _given(self, rows: Sequence[Row]) -> Any:
        return self._arguments.of(rows, is_last=self._randomness.is_settled)

    def _called(self, call: Call) -> Any:
        def once() -> Any:
            # Built again for a second call: the function may have changed its argument.
            return self._function(self._given(call.rows), **self._arguments.streams(call))

        try:
            return self._randomness.run(once, self._seed, call.copy, call.rows[0].position)
        except BaseException as exc:
            if isinstance(exc, Exception) or may_be_an_interrupt(exc):
                raise
            raise self._broken(call, f"{ending_by(exc)}; raise an Exception instead") from exc

    def _outcome(self, row: Row, image: Any, fields: dict[str, Any], copy: int) -> Row | Rejected:
        others = {c.name: fields.pop(c.name, row.others[c.name]) for c in self._others}
        if image is None or any(each is None for each in others.values()):
            return _rejected(row, copy, "filter", _LEFT_OUT)
        try:
            pixels = image_from_returned(image, self._matte, self._profiles)
            picked = {c.name: self._picked(c, others[c.name], row) for c in self._others}
        except UnusableImageError as exc:
            return _rejected(row, copy, "transform", str(exc))
        except WrongReturnError as exc:
            raise self._broken(Call([row], copy), f"returned {exc}") from exc
        return Row(row.position, pixels, fields, others=picked)

    def _picked(self, column: ImageColumn, value: Any, row: Row) -> Picked:
        """Return one of the further images that the function returned, or left as it was."""
        if value is row.others[column.name]:
            return row.others[column.name]
        if column.is_mask:
            return mask_from_returned(column.name, value)
        return image_from_returned(value, self._matte, self._profiles)

    def _broken(self, call: Call, what: str) -> TransformError:
        return TransformError(f"{self._spec.label}, mode {self._mode!r}, {call.where}: it {what}")


def _rejected(row: Row, copy: int, stage: Stage, reason: str) -> Rejected:
    return Rejected(row.position, copy, stage, " ".join(reason.split()))


def _kept(outcome: Row | Rejected) -> Row | Rejected:
    """Return an outcome that does not share its pixels with the function."""
    return outcome if isinstance(outcome, Rejected) else detached_row(outcome)
