"""Whether a head, in `index.json` or `recipe.json`, has the types it must have.

It is looked at once, where it is read: whoever works with it afterwards need not doubt it again.
"""

import math
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 64
"""Lists and objects within one another; nobody has so many in earnest."""

_TEXTS = ("name", "fingerprint")
_LISTS = ("class_names", "series", "notes")
_OBJECTS = ("features", "recipe", "source", "versions", "place")
_FIELDS = ("format", "copies", *_TEXTS, *_LISTS, *_OBJECTS)


def head_problem(head: Mapping[str, Any]) -> str | None:
    """Return what has a form that no head has; None when nothing is wrong."""
    for name in _FIELDS:
        if name not in head:
            return f"it has no {name!r}"
        if not _fits(name, head[name]) or not _is_canonical(head[name], MAX_DEPTH):
            return f"{name!r} is none"
    max_pixels = head["recipe"].get("max_pixels")
    if max_pixels is not None and not _is_positive(max_pixels):
        return "the recipe's 'max_pixels' is no number of pixels"
    if not all(_is_dtype(dtype) for dtype in head["features"].values()):
        return "'features' has a type that there is not"
    return None


def published_problem(published: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a manifest's `published`; None when nothing is."""
    if not published:
        return None
    objects = (published.get("loaders"), published.get("receipts"))
    is_told = isinstance(published.get("at"), str) and all(isinstance(o, dict) for o in objects)
    receipts = objects[1].values() if isinstance(objects[1], dict) else ()
    if not is_told or not all(_is_object_of_texts(receipt) for receipt in receipts):
        return "'published' is none"
    return None if _is_canonical(dict(published), MAX_DEPTH) else "'published' is none"


def _is_object_of_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _fits(name: str, value: object) -> bool:
    """Return whether a field's value has the field's type."""
    if name in _TEXTS:
        return isinstance(value, str)
    if name in _LISTS:
        return (value is None and name == "class_names") or _are_texts(value)
    if name in _OBJECTS:
        return isinstance(value, dict)
    return _is_positive(value)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**63


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_canonical(value: object, depth: int) -> bool:
    """Return whether a value can be written as JSON, and be compared, without surprise."""
    if isinstance(value, float):
        return math.isfinite(value)
    if not isinstance(value, dict | list):
        return True
    items = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_canonical(item, depth - 1) for item in items)


def _is_dtype(dtype: object) -> bool:
    """Return whether a value is a dtype as columns.py describes them."""
    if not isinstance(dtype, dict):
        return isinstance(dtype, str)
    if len(dtype) != 1:
        return False
    ((kind, inner),) = dtype.items()
    if kind == "class_label":
        return _are_texts(inner)
    if kind == "struct":
        return isinstance(inner, dict) and all(_is_dtype(one) for one in inner.values())
    return kind == "list" and _is_dtype(inner)
