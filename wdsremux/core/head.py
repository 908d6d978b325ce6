"""The head of a dataset: what identifies it, known before its first shard is written.

`recipe.json` holds a head, and `index.json` repeats it.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from wdsremux.core.json_values import json_bytes

MANIFEST_FORMAT = 1
"""Raised when a head changes its form, or when the same recipe begins to make other bytes."""
DECIDING_FIELDS = ("format", "recipe", "source", "versions", "series")
"""Fields of a stored head that decide the bytes, in the order in which differences are reported."""
MAX_DEPTH = 64
"""Lists and objects within one another: a bound against JSON made to exhaust the stack."""

FUNCTION_CHANGES = "function_changes"
"""Option of a head that lists replaced functions; see `dataset.function_changes`."""

LANE_SHARDS = "lane_shards"
"""Option of a recipe that records the number of shards of each split that lanes make."""
SHARD_ROWS = "shard_rows"
"""Option of a head: by split, the rows after which a shard of the default size ends."""

_STRINGS = ("name", "fingerprint")
_LISTS = ("class_names", "series", "notes")
_OBJECTS = ("features", "recipe", "source", "versions", "place")
_FIELDS = ("format", "copies", *_STRINGS, *_LISTS, *_OBJECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What identifies a dataset."""

    format: int = MANIFEST_FORMAT
    name: str
    copies: int = 1
    class_names: tuple[str, ...] | None = None
    """Names of the labels, in label order."""
    features: Mapping[str, Any]
    """Dtype of each field of the JSON, and of the image."""
    series: tuple[str, ...] = ()
    """Prefixes of the shards' names, one for each split and copy."""
    options: Mapping[str, Any]
    """Options of the recipe, as they take effect."""
    source: Mapping[str, Any]
    """Identity of the source."""
    versions: Mapping[str, str]
    """Libraries that decide the bytes."""
    fingerprint: str
    """SHA-256 over `DECIDING_FIELDS`; empty for shards that no recipe made."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Strings that named source and function on the command line; they decide no byte."""
    notes: tuple[str, ...] = ()
    """What a reader of the images should know, for example that they were packed as stored."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `recipe.json` holds."""
        return {
            "format": self.format,
            "name": self.name,
            "copies": self.copies,
            "class_names": list(self.class_names) if self.class_names is not None else None,
            "features": self.features,
            "series": list(self.series),
            "recipe": self.options,
            "source": self.source,
            "versions": self.versions,
            "fingerprint": self.fingerprint,
            "place": self.origin,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read a head from JSON. Raises ValueError for a field that is missing or malformed."""
        problem = head_problem(raw)
        if problem is not None:
            raise ValueError(problem)
        names = raw["class_names"]
        return cls(
            format=raw["format"],
            name=raw["name"],
            copies=raw["copies"],
            class_names=tuple(names) if names is not None else None,
            features=raw["features"],
            series=tuple(raw["series"]),
            options=raw["recipe"],
            source=raw["source"],
            versions=raw["versions"],
            fingerprint=raw["fingerprint"],
            origin=raw["place"],
            notes=tuple(raw["notes"]),
        )


def unrecorded_head(name: str, *, writer: str) -> Head:
    """Return the head of shards that no recipe made; `writer` says what listed them."""
    options = {"writer": writer}
    return Head(name=name, features={}, options=options, source={}, versions={}, fingerprint="")


def fingerprint_of(fields: Mapping[str, Any]) -> str:
    """Return the hexadecimal SHA-256 of the canonical JSON of a stored head's deciding fields."""
    deciding = {name: fields[name] for name in DECIDING_FIELDS}
    return hashlib.sha256(json_bytes(deciding)).hexdigest()


def head_problem(raw: Mapping[str, Any]) -> str | None:
    """Return which field of a stored head is missing or malformed; None for a sound head."""
    for name in _FIELDS:
        if name not in raw:
            return f"it has no field {name!r}"
        if not _has_type(name, raw[name]) or not is_canonical(raw[name]):
            return f"the field {name!r} is malformed"
    if not all(_is_dtype(dtype) for dtype in raw["features"].values()):
        return "'features' contains an unknown type"
    return _recipe_problem(raw["recipe"])


def _recipe_problem(recipe: Mapping[str, Any]) -> str | None:
    max_pixels = recipe.get("max_pixels")
    if max_pixels is not None and not _is_positive(max_pixels):
        return "the recipe's 'max_pixels' is not a number of pixels"
    changes = recipe.get(FUNCTION_CHANGES, [])
    if not isinstance(changes, list) or not all(map(_is_function_change, changes)):
        return f"the recipe's {FUNCTION_CHANGES!r} is malformed"
    shard_rows = recipe.get(SHARD_ROWS, {})
    if not isinstance(shard_rows, dict) or not all(map(_is_positive, shard_rows.values())):
        return f"the recipe's {SHARD_ROWS!r} is malformed"
    return None


def is_canonical(value: object, depth: int = MAX_DEPTH) -> bool:
    """Return whether a JSON value can be compared and written: finite numbers, bounded depth."""
    if isinstance(value, float):
        return math.isfinite(value)
    if not isinstance(value, dict | list):
        return True
    items = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(is_canonical(item, depth - 1) for item in items)


def _has_type(name: str, value: object) -> bool:
    if name in _STRINGS:
        return isinstance(value, str)
    if name in _LISTS:
        return (value is None and name == "class_names") or _are_strings(value)
    if name in _OBJECTS:
        return isinstance(value, dict)
    return _is_positive(value)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**63


def _are_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_function_change(value: object) -> bool:
    """Return whether a value is {"was": {...}, "until": {prefix: row}}."""
    if not isinstance(value, dict) or value.keys() != {"was", "until"}:
        return False
    was, until = value["was"], value["until"]
    return (
        isinstance(was, dict) and isinstance(until, dict) and all(map(_is_positive, until.values()))
    )


def _is_dtype(dtype: object) -> bool:
    """Return whether a value is a dtype as columns.py describes them."""
    if not isinstance(dtype, dict):
        return isinstance(dtype, str)
    if len(dtype) != 1:
        return False
    ((kind, inner),) = dtype.items()
    if kind == "class_label":
        return _are_strings(inner)
    if kind == "struct":
        return isinstance(inner, dict) and all(_is_dtype(one) for one in inner.values())
    return kind == "list" and _is_dtype(inner)
