"""The type of a column for which only values are known: a fold over the first rows of a source."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

from wdsremux.core.columns import Column, Dtype

_NUMBERS = ("bool", "int64", "float64")
_STRINGS = ("string", "timestamp")
_MAX_DEPTH = 32


def dtype_of(value: Any, depth: int = 0) -> Dtype:  # noqa: C901, PLR0911 (one for each kind)
    """Return the dtype of one value; "unsupported" for what has no place in JSON."""
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        value = value.tolist()  # NumPy scalars and arrays
    if isinstance(value, int) and not isinstance(value, bool):
        return "int64" if -(2**63) <= value < 2**63 else "unsupported"
    for kinds, dtype in _SCALARS:
        if isinstance(value, kinds):
            return dtype
    if depth >= _MAX_DEPTH:
        return "unsupported"
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return "unsupported"
        return {"struct": {key: dtype_of(item, depth + 1) for key, item in value.items()}}
    if isinstance(value, Sequence):
        start: Dtype = "null"
        return {"list": reduce(merged, (dtype_of(item, depth + 1) for item in value), start)}
    return "unsupported"


_SCALARS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "bool"),
    ((float, Decimal), "float64"),
    ((str, dt.timedelta), "string"),
    ((bytes, bytearray, memoryview), "binary"),
    ((dt.date, dt.time), "timestamp"),
)


def merged(one: Dtype, other: Dtype) -> Dtype:  # noqa: PLR0911 (one return for each case)
    """Return the dtype that holds the values of both; "unsupported" when there is none."""
    if other in (one, "null"):
        return one
    if one == "null":
        return other
    if isinstance(one, str) or isinstance(other, str):
        for ladder in (_NUMBERS, _STRINGS):
            if one in ladder and other in ladder:
                return (
                    max(str(one), str(other), key=ladder.index) if ladder is _NUMBERS else "string"
                )
        return "unsupported"
    if "list" in one and "list" in other:
        return {"list": merged(one["list"], other["list"])}
    if "struct" in one and "struct" in other:
        names = dict.fromkeys((*one["struct"], *other["struct"]))
        ones, others = one["struct"], other["struct"]
        return {"struct": {n: merged(ones.get(n, "null"), others.get(n, "null")) for n in names}}
    return "unsupported"


def infer_columns(rows: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Return the columns of rows, in the order in which their names are first seen."""
    dtypes: dict[str, Dtype] = {}
    for row in rows:
        for name, value in row.items():
            dtypes[name] = merged(dtypes.get(name, "null"), dtype_of(value))
    return tuple(Column(name, dtype) for name, dtype in dtypes.items())
