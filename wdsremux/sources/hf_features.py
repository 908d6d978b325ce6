"""Hugging Face `Features`, in the form their JSON has, as our columns; without `datasets`."""

from collections.abc import Mapping
from typing import Any

from wdsremux.columns import Column, Dtype

_VALUES = {
    "large_string": "string",
    "string_view": "string",
    "large_binary": "binary",
    "binary_view": "binary",
    "halffloat": "float16",
    "double": "float64",
    "duration": "string",
    "decimal": "float64",
    "date": "timestamp",
    "time": "timestamp",
    "timestamp": "timestamp",
}
_PLAIN = ("string", "binary", "bool", "null", "int", "uint", "float")


def columns_from_features(features: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return the columns of `Features.to_dict()`, or of the same JSON in Parquet metadata."""
    return tuple(Column(name, dtype_from_feature(feature)) for name, feature in features.items())


def dtype_from_feature(feature: Any) -> Dtype:  # noqa: PLR0911 (one return for each form)
    """Return the dtype of one feature; "unsupported" for those that hold no plain values."""
    if isinstance(feature, list):
        return {"list": dtype_from_feature(feature[0])} if feature else "unsupported"
    if not isinstance(feature, Mapping):
        return "unsupported"
    kind = feature.get("_type")
    if not isinstance(kind, str):  # a struct; a field of it may be called "_type"
        return {"struct": {name: dtype_from_feature(inner) for name, inner in feature.items()}}
    if kind == "Value":
        return _value(str(feature.get("dtype")))
    if kind == "ClassLabel":
        names = feature.get("names")
        return {"class_label": list(names)} if names else "int64"
    if kind in ("List", "LargeList", "Sequence"):
        inner = dtype_from_feature(feature["feature"])
        if kind == "Sequence" and isinstance(inner, dict) and "struct" in inner:
            # What `datasets` up to 3 called a sequence of structs is stored as a struct of lists.
            return {"struct": {name: {"list": part} for name, part in inner["struct"].items()}}
        return {"list": inner}
    return "image" if kind == "Image" else "unsupported"


def _value(name: str) -> Dtype:
    for prefix, dtype in _VALUES.items():
        if name.startswith(prefix):
            return dtype
    return name if name.startswith(_PLAIN) else "unsupported"
