"""The key of a sample, and the columns in its JSON, from the row that becomes the sample."""

from collections.abc import Mapping
from typing import Any

from wdsremux.core.columns import Columns
from wdsremux.core.json_values import ValueFormError, converter, label_converter
from wdsremux.core.keys import key_from_position, key_from_value
from wdsremux.core.option_values import shortened
from wdsremux.processing.batch import BatchBuilder, RejectedFieldError, RejectedRecordError
from wdsremux.transforms.function.call import Row


class SampleFields:
    """Makes keys and JSON fields by the columns of a job."""

    def __init__(self, columns: Columns, copies: int) -> None:
        """Take the columns of a job, and the number of samples that a row becomes."""
        self._columns = columns
        self._copies = copies
        # Name, name in the JSON and converter of each column.
        self.extras = [(c.name, c.json_name, converter(c.dtype)) for c in columns.extras]
        self.extras += [(c.name, c.name, converter(c.dtype)) for c in columns.added]
        self._label = label_converter(columns.label.dtype) if columns.label else None

    def key(self, row: Row, copy: int) -> tuple[str, str | None]:
        """Return the sample's key, and the column's value that it was made from, if any."""
        column = self._columns.key
        suffix = f"-c{copy}" if self._copies > 1 else ""
        first, number = row.number or (row.position, None)
        if number is not None:
            suffix = f"-{number}{suffix}"
        if column is None:
            return key_from_position(first) + suffix, None
        try:
            key, text = key_from_value(row.fields.get(column))
        except ValueError as exc:
            raise RejectedRecordError("pack", f"column {column!r}: {exc}") from exc
        return key + suffix, text

    def entry(self, row: Row, read: Mapping[str, Any], builder: BatchBuilder) -> dict[str, Any]:
        """Return the extra columns of a sample, and its label.

        `read` are the columns as the source has them, before the function.

        A value of the source that does not have its column's type is null: an extra column does not
        cost the image. One that the user's function returned rejects the row.
        """
        entry: dict[str, Any] = {}
        for name, json_name, convert in self.extras:
            try:
                entry[json_name] = convert(row.fields.get(name))
            except ValueFormError as exc:
                error = RejectedFieldError(name, convert, exc)
                error.attribute(read)
                if error.stage == "transform":
                    raise error from exc
                entry[json_name] = None
                kind, column = type(row.fields.get(name)).__name__, shortened(repr(name), 60)
                text = f"values left out (null): column {column} cannot hold {kind}"
                builder.remark(row.position, text)
        return entry | self._label_of(row)

    def _label_of(self, row: Row) -> dict[str, Any]:
        """Return the label of a sample, and the name of its class."""
        label = self._columns.label
        if label is None or self._label is None:
            return {}
        try:
            number = self._label(row.fields.get(label.name))
        except ValueFormError as exc:
            raise RejectedFieldError(label.name, self._label, exc) from exc
        if label.class_names is None:
            return {"label": number}
        is_known = number is not None and number >= 0
        return {"label": number, "label_name": label.class_names[number] if is_known else None}
