"""What the columns of a source are, which of them the recipe takes, and how a value becomes JSON.

A dtype is what the dataset card calls it: "int64", "float64", "string", "bool", "null", "image", "binary",
"timestamp", {"class_label": [names]}, {"list": dtype}, {"struct": {name: dtype}}, or "unsupported".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wdsremux.errors import UsageError

Dtype = str | dict[str, Any]

RESERVED = ("label", "label_name", "width", "height", "position", "copy", "key")
"""Names our own JSON fields have; a source column of that name is written as source_NAME."""

LABEL_NAMES = ("label", "labels", "cls", "class", "fine_label", "target")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source."""

    name: str
    dtype: Dtype

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, in label order; None when this is no class label."""
        if isinstance(self.dtype, dict) and "class_label" in self.dtype:
            return tuple(self.dtype["class_label"])
        return None


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns a recipe takes from a source."""

    image: str
    label: Column | None
    extras: tuple[Column, ...]
    key: str | None

    @property
    def fields(self) -> tuple[str, ...]:
        """Every column to be read beside the image, each once, in a fixed order."""
        label = (self.label.name,) if self.label else ()
        key = (self.key,) if self.key else ()
        return tuple(dict.fromkeys((*label, *(c.name for c in self.extras), *key)))
