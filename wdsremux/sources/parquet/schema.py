"""The columns of Parquet files.

A declared type (the dataset card's first, then the metadata inside the file) wins over the Arrow
type. First values are examined only when no column is declared an image.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from wdsremux.core.columns import Column, Dtype
from wdsremux.core.errors import SourceError
from wdsremux.core.image_formats import is_image_name, is_image_start
from wdsremux.sources.dtypes import dtype_from_name, dtypes_from_features, with_listed_images
from wdsremux.sources.rows.embedded import first_of, has_embedded_start

IMAGE_NAMES = (
    "image", "images", "img", "picture", "photo", "file", "file_name", "filename", "file_path",
    "filepath", "path", "image_path", "img_path", "image_file",
)  # fmt: skip
"""Names of string columns that hold paths of images."""


def columns_from_schema(
    schema: pa.Schema, declared: Mapping[str, Dtype] | None = None
) -> tuple[Column, ...]:
    """Return the columns of an Arrow schema; `declared` are the dtypes of the dataset card.

    Raises SourceError when two columns have the same name.
    """
    double = next((name for name, count in Counter(schema.names).items() if count > 1), None)
    if double is not None:
        raise SourceError(
            f"two columns are named {double!r}; write the file again with unique names"
        )
    known = {**dtypes_from_metadata(schema.metadata), **(declared or {})}
    return tuple(
        Column(field.name, known.get(field.name) or dtype_from_arrow(field.type))
        for field in schema
    )


def guessable(columns: Sequence[Column]) -> list[str]:
    """Return the columns whose first value must be examined: none when an image is declared."""
    if any(column.dtype == "image" for column in columns):
        return []
    return [c.name for c in columns if c.dtype in ("binary", "string", {"list": "binary"})]


def with_guessed_images(
    columns: Sequence[Column],
    first_values: Mapping[str, Any],
    file_exists: Callable[[str], bool],
) -> tuple[Column, ...]:
    """Return the columns; those whose first value is an image or the path of one become images."""
    columns = with_listed_images(columns)
    guesses = {
        name
        for name in guessable(columns)
        if _holds_images(name, first_values.get(name), file_exists)
    }
    plain = {c.name for c in columns if c.name in guesses and isinstance(c.dtype, str)}
    guesses = plain or guesses  # lists of images are taken only where no other column is one
    return tuple(Column(c.name, "image") if c.name in guesses else c for c in columns)


def _holds_images(name: str, value: Any, file_exists: Callable[[str], bool]) -> bool:
    value = first_of(value)
    if isinstance(value, bytes):
        return is_image_start(value)
    if has_embedded_start(value):
        return True
    if not isinstance(value, str) or not is_image_name(value):
        return False
    return name.lower() in IMAGE_NAMES or file_exists(value)


def dtypes_from_metadata(metadata: Mapping[bytes, bytes] | None) -> dict[str, Dtype]:
    """Return the dtypes that `datasets` recorded in a schema; empty when there are none."""
    try:
        note = json.loads((metadata or {}).get(b"huggingface", b"null"))
        return dtypes_from_features(note["info"]["features"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}  # optional: without it the Arrow types apply


def dtype_from_arrow(kind: pa.DataType) -> Dtype:
    """Return the dtype of an Arrow type."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_map(kind):  # JSON objects of varying keys have no common type
        return {"list": dtype_from_arrow(entries_type(kind).value_type)}
    if types.is_struct(kind):
        return _dtype_from_struct({field.name: field.type for field in kind})
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view)
    if any(is_list(kind) for is_list in lists):
        return {"list": dtype_from_arrow(kind.value_type)}
    if types.is_floating(kind):  # Arrow says "double" where the card says "float64"
        return f"float{kind.bit_width}"
    return dtype_from_name("binary" if types.is_fixed_size_binary(kind) else str(kind))


def entries_type(kind: pa.MapType) -> pa.ListType:
    """Return the type of a map as a list of its entries: {"key": ..., "value": ...}."""
    return pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))


def _dtype_from_struct(fields: Mapping[str, pa.DataType]) -> Dtype:
    inner = {name: dtype_from_arrow(kind) for name, kind in fields.items()}
    if set(inner) == {"bytes", "path"} and inner["bytes"] in ("binary", "null"):
        return "image"  # how `datasets` stores images
    return {"struct": inner}
