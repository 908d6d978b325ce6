"""Converts values to JSON by their column's dtype, so that every sample has the same types.

NaN and infinities become null (JSON cannot hold them), dates ISO 8601 strings, bytes base64.
"""

import base64
import datetime as dt
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from wdsremux.core.columns import Dtype
from wdsremux.core.escaping import shown_bytes
from wdsremux.core.option_values import shortened

MAX_INTEGER = 2**63 - 1
"""Larger ones are not packed as numbers: `load_dataset` cannot read them in JSON."""

Json = Any
Convert = Callable[[Any], Json]


class ValueFormError(ValueError):
    """A value that does not have its column's dtype; the message is the reason."""


def json_bytes(value: Mapping[str, Json]) -> bytes:
    """Return the canonical JSON of an object: sorted keys, UTF-8, no blanks, no NaN."""
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    # UTF-8 cannot hold a lone surrogate: "replace" writes "?" instead of raising.
    return text.encode("utf-8", "replace")


def converter(dtype: Dtype) -> Convert:
    """Return the function that turns a value of this dtype into JSON or raises ValueFormError."""
    if isinstance(dtype, dict):
        return _nested(dtype)
    if dtype.startswith(("int", "uint")):
        return _integer_of(dtype)
    if dtype.startswith("float"):
        return _float
    simple: dict[str, Convert] = {
        "bool": _boolean,
        "binary": _binary,
        "string": _string,
        "null": _string,
        "timestamp": _string,
    }
    return simple.get(dtype, _as_string)


def card_dtype(dtype: Dtype) -> Dtype:
    """Return the dtype that a converted column has in JSON, as the dataset card declares it."""
    if isinstance(dtype, dict):
        if "list" in dtype:
            return {"list": card_dtype(dtype["list"])}
        if "struct" in dtype:
            return {"struct": {name: card_dtype(inner) for name, inner in dtype["struct"].items()}}
        return dtype
    if dtype == "bool" or dtype.startswith(("int", "uint")):
        return dtype
    return "float64" if dtype.startswith("float") else "string"


def label_converter(dtype: Dtype) -> Convert:
    """Return the converter of a label: class labels are checked against the number of classes."""
    if dtype in ("binary", "unsupported"):
        return _odd_label
    return converter(dtype)


def _odd_label(value: Any) -> Json:
    if value is None:
        return None
    raise ValueFormError(f"a label cannot be {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return f"bytes that begin with {shown_bytes(value)}" if value else "empty bytes"
    return f"{type(value).__name__} {shortened(repr(value))}"


def _plain(value: Any) -> Any:
    """Return the Python value of a NumPy scalar or array."""
    return value.tolist() if hasattr(value, "tolist") and hasattr(value, "dtype") else value


def _integer(value: Any) -> Json:
    value = _plain(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        if value.is_integer():
            return int(value)
    raise ValueFormError(f"expected a whole number, got {_shown(value)}")


def _integer_of(dtype: str) -> Convert:
    """Return the converter of an integer column; it refuses what the type cannot hold."""
    digits = dtype.removeprefix("u").removeprefix("int")
    bits = int(digits) if digits.isdecimal() else 64
    low, high = (0, 2**bits - 1) if dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    high = min(high, MAX_INTEGER)

    def convert(value: Any) -> Json:
        number = _integer(value)
        if number is not None and not low <= number <= high:
            raise ValueFormError(f"expected {dtype}, got {_shown(number)}")
        return number

    return convert


def _float(value: Any) -> Json:
    value = _plain(value)
    if value is None:
        return None
    if isinstance(value, int | float | Decimal):
        try:
            number = float(value)
        except (OverflowError, ValueError):  # beyond the largest float, or a signaling NaN
            return None
        return number if math.isfinite(number) else None
    raise ValueFormError(f"expected a number, got {_shown(value)}")


def _boolean(value: Any) -> Json:
    value = _plain(value)
    if value is None or isinstance(value, bool):
        return value
    raise ValueFormError(f"expected true or false, got {_shown(value)}")


def _string(value: Any) -> Json:
    value = _plain(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta | Decimal):
        return str(value)
    raise ValueFormError(f"expected a string, got {_shown(value)}")


def _binary(value: Any) -> Json:
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    raise ValueFormError(f"expected bytes, got {_shown(value)}")


def _nested(dtype: dict[str, Any]) -> Convert:
    if "class_label" in dtype:
        return _class_label(len(dtype["class_label"]))
    if "list" in dtype:
        return _list(converter(dtype["list"]))
    return _struct({name: converter(inner) for name, inner in dtype["struct"].items()})


def _class_label(classes: int) -> Convert:
    def convert(value: Any) -> Json:
        number = _integer(value)
        # -1 marks a label that is not published, as in many test splits on the Hub.
        if number is not None and not -1 <= number < classes:
            raise ValueFormError(f"label {number} is not one of the {classes} classes")
        return number

    return convert


def _list(inner: Convert) -> Convert:
    def convert(value: Any) -> Json:
        value = _plain(value)
        if value is None:
            return None
        if isinstance(value, list | tuple):
            return [inner(item) for item in value]
        raise ValueFormError(f"expected a list, got {_shown(value)}")

    return convert


def _struct(inner: dict[str, Convert]) -> Convert:
    def convert(value: Any) -> Json:
        if value is None:
            return None
        if isinstance(value, Mapping):
            return {name: change(value.get(name)) for name, change in inner.items()}
        raise ValueFormError(f"expected an object, got {_shown(value)}")

    return convert


def _as_string(value: Any) -> Json:
    """Return a value of a column without a common dtype as a string: as JSON unless it is one.

    Readers need one type for all rows.
    """
    found = _any(value)
    if found is None or isinstance(found, str):
        return found
    return json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _any(value: Any) -> Json:
    """Convert by the value alone."""
    value = _plain(value)
    if isinstance(value, float):
        return _float(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return _binary(value)
    if isinstance(value, list | tuple):
        return [_any(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _any(item) for name, item in value.items()}
    return _string(value)
