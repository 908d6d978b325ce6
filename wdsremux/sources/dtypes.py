"""Column dtypes that `datasets` declares: features in their JSON form, or a dataset card's.

JSON form: {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}, as in Parquet metadata.
Card form: [{"name": "label", "dtype": {"class_label": {"names": {"0": "cat", "1": "dog"}}}}].
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wdsremux.core.columns import Column, Dtype

UNSUPPORTED = "unsupported"


def dtype_from_name(name: str) -> Dtype:
    """Return the dtype for the name of a type in Arrow or `datasets`."""
    if name in ("image", "bool", "null", "binary", "string"):
        return name
    if name.startswith(("int", "uint", "float")):
        return name
    if name in ("large_string", "string_view") or name.startswith("decimal"):
        return "string"
    if name in ("large_binary", "binary_view"):
        return "binary"
    is_time = name.startswith(("timestamp", "date", "time", "duration"))
    return "timestamp" if is_time else UNSUPPORTED


def dtypes_from_features(features: Mapping[str, Any]) -> dict[str, Dtype]:
    """Return the dtypes of features in their JSON form, as `Features.to_dict()` returns them."""
    return {name: dtype_from_feature(feature) for name, feature in features.items()}


def dtype_from_feature(feature: Any) -> Dtype:
    """Return the dtype of one feature in its JSON form."""
    if isinstance(feature, list):
        return {"list": dtype_from_feature(feature[0])} if feature else UNSUPPORTED
    if not isinstance(feature, Mapping):
        return UNSUPPORTED
    kind = feature.get("_type")
    if not isinstance(kind, str):  # a struct, which may have a field of that name
        return {"struct": dtypes_from_features(feature)}
    read = _FEATURE_READERS.get(kind)
    return read(feature) if read else UNSUPPORTED


def dtypes_from_card(features: Any) -> dict[str, Dtype]:
    """Return the dtypes of a card's list of named features; empty for anything else."""
    named = [f for f in features if isinstance(f, Mapping)] if isinstance(features, list) else []
    return {str(f["name"]): dtype_from_card(f) for f in named if "name" in f}


def dtype_from_card(feature: Any) -> Dtype:
    """Return the dtype of one feature in the card's form, for example {"list": "int64"}."""
    if isinstance(feature, str):
        return dtype_from_name(feature)
    if isinstance(feature, list):
        return {"struct": dtypes_from_card(feature)}
    if isinstance(feature, Mapping):
        for key, read in _CARD_READERS.items():
            if key in feature:
                return read(feature[key])
    return UNSUPPORTED


def with_listed_images(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns; when none is an image, lists of images become images: their first."""
    if any(column.dtype == "image" for column in columns):
        return tuple(columns)
    return tuple(Column(c.name, "image") if c.dtype == {"list": "image"} else c for c in columns)


def _class_label(label: Any) -> Dtype:
    names = label.get("names") if isinstance(label, Mapping) else None
    if isinstance(names, Mapping):  # the card's form
        return {"class_label": [str(names[key]) for key in sorted(names, key=int)]}
    if isinstance(names, list | tuple):
        return {"class_label": [str(name) for name in names]}
    count = label.get("num_classes") if isinstance(label, Mapping) else None
    return {"class_label": [str(i) for i in range(count)]} if isinstance(count, int) else "int64"


def _array(feature: Any) -> Dtype:
    dtype = dtype_from_name(str(feature.get("dtype")))
    for _ in feature.get("shape") or ():
        dtype = {"list": dtype}
    return dtype


def _feature_sequence(feature: Mapping[str, Any]) -> Dtype:
    inner = feature.get("feature")
    if isinstance(inner, Mapping) and "_type" not in inner:
        # A sequence of a struct is stored as a struct of lists.
        return {"struct": {n: {"list": d} for n, d in dtypes_from_features(inner).items()}}
    return {"list": dtype_from_feature(inner)}


def _card_sequence(inner: Any) -> Dtype:
    if isinstance(inner, list):
        return {"struct": {n: {"list": d} for n, d in dtypes_from_card(inner).items()}}
    return {"list": dtype_from_card(inner)}


def _feature_list(feature: Mapping[str, Any]) -> Dtype:
    return {"list": dtype_from_feature(feature.get("feature"))}


_FEATURE_READERS: Mapping[str, Callable[[Any], Dtype]] = {
    "Value": lambda feature: dtype_from_name(str(feature.get("dtype"))),
    "Image": lambda _: "image",
    "ClassLabel": _class_label,
    "List": _feature_list,
    "LargeList": _feature_list,
    "Sequence": _feature_sequence,
    "Array2D": _array,
    "Array3D": _array,
    "Array4D": _array,
    "Array5D": _array,
}

_CARD_READERS: Mapping[str, Callable[[Any], Dtype]] = {
    "dtype": dtype_from_card,
    "class_label": _class_label,
    "struct": dtype_from_card,
    "list": lambda inner: {"list": dtype_from_card(inner)},
    "large_list": lambda inner: {"list": dtype_from_card(inner)},
    "sequence": _card_sequence,
    "image": lambda _: "image",
    "array2_d": _array,
    "array3_d": _array,
    "array4_d": _array,
    "array5_d": _array,
}
