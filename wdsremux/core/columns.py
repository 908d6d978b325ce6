"""The columns of a source, and those that a recipe packs.

Dtypes are those of the dataset card: "int64", "float64", "string", "bool", "null", "image",
"binary", "timestamp", {"class_label": [names]}, {"list": dtype}, {"struct": {name: dtype}}, or
"unsupported".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from wdsremux.core.image_columns import ImageColumn

Dtype = str | dict[str, Any]

RESERVED = ("label", "label_name", "width", "height", "position", "copy", "key")
"""Names of our own JSON fields; a source column with such a name is written as source_NAME."""

_RENAMED = re.compile(f"(source_)*({'|'.join(RESERVED)})")

_COMPUTED = ("label_name", "width", "height", "position", "copy")

INFERRED: Dtype = "inferred"
"""Type of a column that the user's function adds, until the first batch shows it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source."""

    name: str
    dtype: Dtype
    is_computed: bool = False
    """Whether an earlier conversion wrote it, as the manifest or card of that says."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, in label order; None if this is not a class label."""
        if isinstance(self.dtype, dict) and "class_label" in self.dtype:
            return tuple(self.dtype["class_label"])
        return None

    @property
    def json_name(self) -> str:
        """The name of the column in the JSON of a sample; unique among the columns."""
        # Our own shards are sources too: they have a source_position beside a position.
        return f"source_{self.name}" if _RENAMED.fullmatch(self.name) else self.name


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a recipe packs."""

    image: str
    label: Column | None
    extras: tuple[Column, ...]
    key: str | None
    added: tuple[Column, ...] = ()
    """Extra columns that the source does not have: the user's function adds them."""
    every_image: bool = False
    """Whether records hold all images of a list, not only the first."""
    required: tuple[str, ...] = ()
    """Those of them that the function must return for every sample: the user named them."""
    infers: bool = False
    """Whether every column that the function adds is packed."""
    tested: tuple[Column, ...] = ()
    """Columns that decide whether a row is kept; they are read even if they are not packed."""
    text: Column | None = None
    """The column that is packed as a member .txt, too."""
    has_class: bool = False
    """Whether the label is packed as a member .cls, too."""
    packed_images: tuple[ImageColumn, ...] = ()
    """The image columns of a sample, `image` first, where it has several; else empty."""

    @property
    def more_images(self) -> tuple[ImageColumn, ...]:
        """The image columns beside `image`; a record has them in `others`."""
        return self.packed_images[1:]

    @property
    def read(self) -> tuple[str, ...]:
        """Every column to read, images included, each once."""
        more = (column.name for column in self.more_images)
        return tuple(dict.fromkeys((self.image, *more, *self.fields)))

    @property
    def fields(self) -> tuple[str, ...]:
        """Every column to read beside the image, each once, in a fixed order."""
        label = (self.label.name,) if self.label else ()
        key = (self.key,) if self.key else ()
        text = (self.text.name,) if self.text and self.text.name not in self.required else ()
        tested = (column.name for column in self.tested)
        extras = (column.name for column in self.extras)
        return tuple(dict.fromkeys((*label, *extras, *key, *text, *tested)))


def of_our_output(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns of an output of wdsremux; fields that it computes again are marked."""
    return tuple(replace(c, is_computed=c.name in _COMPUTED) for c in columns)


def fits_json(dtype: Dtype) -> bool:
    """Return whether a column is packed by default: bytes and images are not."""
    if isinstance(dtype, str):
        return dtype not in ("image", "binary", "unsupported")
    if "list" in dtype:
        return fits_json(dtype["list"])
    if "struct" in dtype:
        return all(fits_json(inner) for inner in dtype["struct"].values())
    return True
