"""Reads the dict of lists that a batch function returned, with any number of values.

With another number of rows nothing says which sample comes from which row, so samples count for the
rows of the batch evenly, in order: the third of six samples counts for the second of three rows.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from wdsremux.transforms.function.returned import WrongReturnError

Columns = dict[Any, list[Any]]


def columns_from_returned(
    returned: Any, images: Sequence[str], names: Collection[str], rows: int
) -> Columns:
    """Return the columns as lists of one length.

    `images` are the columns with images, the one that must be returned first; `names` are the
    columns that the function got beside that, `rows` is their length. A column
    may be missing where the number of rows is the same. Raises WrongReturnError.
    """
    if not isinstance(returned, Mapping):
        forgot = "; is a `return` missing?" if returned is None else ""
        raise WrongReturnError(f"{kind_of(returned)}, not a dict of lists{forgot}")
    columns = {
        name: _list_from(name, values, is_image=name in images) for name, values in returned.items()
    }
    image_column = images[0]
    if image_column not in columns:
        raise forgot_image(columns, image_column)
    samples = len(columns[image_column])
    if samples == rows:
        _refuse_length(columns, rows, f"for {rows} rows; return one for each row")
        return columns
    missing = sorted(names - columns.keys())
    if missing:
        raise WrongReturnError(
            f"{samples} values in column {image_column!r} for {rows} rows, but not column "
            f"{missing[0]!r}; return one value for each row (None in place of an image leaves it "
            "out), or every column with the same number of values"
        )
    _refuse_length(
        columns,
        samples,
        f"but {samples} in column {image_column!r}; return the same number in every column",
    )
    return columns


def rows_of_samples(samples: int, rows: int) -> list[int]:
    """Return for each returned sample the number of the row of the batch that it counts for."""
    return [number * rows // samples for number in range(samples)]


def forgot_image(returned: Mapping[str, Any], image_column: str) -> WrongReturnError:
    """Return the error for a dict without the image: the untouched one would hide it."""
    names = ", ".join(map(repr, returned)) or "nothing"
    return WrongReturnError(f"{names} but not {image_column!r}; return the image too")


def kind_of(value: Any) -> str:
    """Name the type of a value in a message."""
    return "None" if value is None else f"a value of type {type(value).__name__!r}"


def _list_from(name: Any, values: Any, *, is_image: bool) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        raise WrongReturnError(f"{kind_of(values)} as column {name!r}, not a list")
    is_plain = not is_image and hasattr(values, "tolist")  # an array or a tensor
    return values.tolist() if is_plain else list(values)


def _refuse_length(columns: Columns, length: int, what: str) -> None:
    for name, values in columns.items():
        if len(values) != length:
            raise WrongReturnError(f"{len(values)} values in column {name!r} {what}")
