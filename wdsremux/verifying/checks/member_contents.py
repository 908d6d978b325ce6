"""Checks the content of members: JSON by the dataset's schema, class numbers, strings, images."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from wdsremux.core.option_values import DEFAULT_MAX_PIXELS, shortened
from wdsremux.transforms.codecs.codec import Codec, DecodeError
from wdsremux.verifying.findings import Code
from wdsremux.verifying.reports import Collector, Depth

Content = Literal["json", "number", "text", "image"]

MAX_TEXT_BYTES = 1 << 24
MAX_IMAGE_BYTES = 1 << 28
"""Larger members are not read into memory."""

_KINDS: dict[str, Content] = {
    **dict.fromkeys(("json", "jsn"), "json"),
    **dict.fromkeys(("cls", "cls2", "index", "inx", "id"), "number"),
    **dict.fromkeys(("txt", "text", "transcript"), "text"),
    **dict.fromkeys(
        ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "jp2", "avif"), "image"
    ),
}
"""By the last suffix, as webdataset's own decoders choose (webdataset 1.0 autodecode.py)."""


def content_of(field: str, depth: Depth) -> Content | None:
    """Return the kind of content to check at a depth; None when the member is not read."""
    kind = _KINDS.get(field.rpartition(".")[2])
    if kind == "image":
        return kind if depth == "pixels" else None
    return kind if depth in ("samples", "pixels") else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


class ImageCheck:
    """Decodes images and discards the pixels; threads may share it."""

    def __init__(self, max_pixels: int | None) -> None:
        self._codec = Codec(max_pixels=max_pixels or DEFAULT_MAX_PIXELS)

    def size_of(self, data: bytes) -> tuple[int, int]:
        """Return width and height as stored, after decoding all of it. Raises DecodeError."""
        stored = self._codec.open(data)
        stored.decode(1)
        return stored.size


class Schema:
    """The fields that the JSON of every sample has, by the manifest's features."""

    def __init__(self, features: Mapping[str, Any]) -> None:
        struct = features.get("json")
        fields = struct.get("struct") if isinstance(struct, Mapping) else None
        self.fields: Mapping[str, Any] | None = fields if isinstance(fields, Mapping) else None
        self.members = frozenset(features)

    def check(self, value: Mapping[str, Any], key: str, offset: int, found: Collector) -> None:
        """Report the first field that does not match the features, and an invalid label."""
        if self.fields is None:
            return
        odd = sorted(self.fields.keys() ^ value.keys())
        if odd:
            where = "is missing" if odd[0] in self.fields else "is not among the features"
            found.add(Code.JSON_SCHEMA, f"{shortened(odd[0])!r} {where}", key=key, offset=offset)
            return
        for name, dtype in self.fields.items():
            if not _is_label(dtype) and not _fits(value[name], dtype):
                detail = f"{name!r} is {_short(value[name])}, not {_short(dtype)}"
                found.add(Code.JSON_SCHEMA, detail, key=key, offset=offset)
                return
            problem = _label_problem(value, name, dtype)
            if problem is not None:
                found.add(Code.LABEL_RANGE, problem, key=key, offset=offset)
                return


def parsed_object(data: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object in a member; None for anything else."""
    try:
        value = _DECODER.decode(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_problem(data: bytes, kind: Content) -> str | None:
    """Return why a class number or a string cannot be decoded."""
    try:
        text = data.decode()
        if kind == "number":
            int(text)
    except ValueError as exc:
        return shortened(str(exc))
    return None


def _is_label(dtype: object) -> bool:
    return isinstance(dtype, Mapping) and "class_label" in dtype


def _label_problem(value: Mapping[str, Any], name: str, dtype: object) -> str | None:
    """Return why a class label is invalid; -1 and null mean that a label is missing."""
    if not isinstance(dtype, Mapping) or "class_label" not in dtype:
        return None
    number, names = value[name], dtype["class_label"]
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not -1 <= number < len(names):
        return f"{name!r} is {_short(number)}, but there are {len(names)} classes"
    label_name = value.get("label_name") if name == "label" else None
    if label_name is not None and (number < 0 or label_name != names[number]):
        return f"label {number} has the name {_short(label_name)}"
    return None


def _fits(value: Any, dtype: Any) -> bool:  # noqa: PLR0911 (one line for each dtype)
    """Return whether a JSON value has the dtype of the features; null fits all."""
    if value is None:
        return True
    if isinstance(dtype, Mapping):
        if "list" in dtype:
            return isinstance(value, list) and all(_fits(item, dtype["list"]) for item in value)
        if "struct" in dtype:
            fields = dtype["struct"]
            return isinstance(value, dict) and all(
                name in fields and _fits(item, fields[name]) for name, item in value.items()
            )
        return isinstance(value, int)
    if dtype == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if dtype.startswith(("int", "uint")):
        return isinstance(value, int)
    return isinstance(value, int | float) if dtype.startswith("float") else isinstance(value, str)


def _short(value: object) -> str:
    return shortened(repr(value), 60)


__all__ = [
    "Content",
    "DecodeError",
    "ImageCheck",
    "Schema",
    "content_of",
    "parsed_object",
    "text_problem",
]
