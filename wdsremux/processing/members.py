"""The members of a sample beside image and JSON: captions (`.txt`) and class numbers (`.cls`).

Format: what webdataset decodes by these extensions (webdataset 1.0 `autodecode.py`): UTF-8, and an
integer in ASCII digits. open_clip reads the first; DALI and timm read the second.
"""

from collections.abc import Mapping
from typing import Any

from wdsremux.core.columns import Column, Columns, Dtype
from wdsremux.core.option_values import shortened
from wdsremux.processing.batch import RejectedRecordError

TEXT, CLASS = "txt", "cls"
NO_CLASS = -1
"""The class of a sample without a label, as in `datasets`."""


def member_features(columns: Columns) -> dict[str, Dtype]:
    """Return the dtypes of these members by their extensions, in the order of a sample."""
    found: dict[str, Dtype] = {}
    if columns.text is not None:
        found[TEXT] = "string"
    if columns.has_class:
        label = columns.label
        is_named = label is not None and label.class_names is not None
        found[CLASS] = label.dtype if label is not None and is_named else "int64"
    return found


def member_contents(
    columns: Columns, fields: Mapping[str, Any], entry: Mapping[str, Any]
) -> tuple[tuple[str, bytes], ...]:
    """Return (extension, bytes) of these members; `fields` are the columns, `entry` the JSON.

    Raises RejectedRecordError for a value that such a member cannot hold.
    """
    found = []
    if columns.text is not None:
        found.append((TEXT, _text(columns.text, fields.get(columns.text.name))))
    if columns.has_class:
        found.append((CLASS, _class(entry.get("label"))))
    return tuple(found)


def _text(column: Column, value: Any) -> bytes:
    if value is None:
        return b""
    names = column.class_names
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        value = names[value]
    if not isinstance(value, str):
        kind = shortened(f"{type(value).__name__} {value!r}")
        raise RejectedRecordError("pack", f"column {column.name!r}: a caption cannot be {kind}")
    # As in the JSON: UTF-8 cannot hold a lone surrogate.
    return value.encode("utf-8", "replace")


def _class(label: Any) -> bytes:
    if label is None:
        label = NO_CLASS
    if not isinstance(label, int):
        raise RejectedRecordError(
            "pack", f"a class number cannot be {shortened(repr(label))}; remove --cls"
        )
    return str(int(label)).encode()
