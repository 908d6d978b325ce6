"""Which columns the members of WebDataset samples form, and how values are read from them."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wdsremux.core.columns import Column, Dtype
from wdsremux.core.errors import SourceError
from wdsremux.core.image_formats import IMAGE_EXTENSIONS
from wdsremux.sources.inference import dtype_of, merged
from wdsremux.sources.rows.embedded import shown

LABEL_COLUMN = "label"
KEY_COLUMN = "key"
"""The column with the samples' keys; in the JSON of what is made of them it is "source_key"."""

_STRINGS = ("txt", "text", "transcript")
_INTEGERS = ("cls", "cls2", "index", "inx", "id")
_JSONS = ("json", "jsn")

_LATE = "it begins after the samples that decide the columns"

MAX_MEMBERS = 1000
"""Of a sample: in a tar, all names may share what is before the first dot."""

Form = Literal["image", "text", "integer", "json"]

_FORM_NAMES: Mapping[Form, str] = {
    "image": "image data",
    "text": "UTF-8",
    "integer": "ASCII digits",
    "json": "JSON",
}

Fetch = Callable[[str], bytes]
"""Reads the member of a field."""


class MemberValueError(ValueError):
    """The content of a member is not what its name says; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a column's value comes from."""

    fields: tuple[str, ...]
    """The fields that may hold it: the first that a sample has does."""
    form: Form
    key: str | None = None
    """The key of a JSON object; None is the whole member."""


@dataclass(frozen=True, slots=True)
class TarSchema:
    """The columns of tars."""

    columns: tuple[Column, ...]
    origins: Mapping[str, Origin]
    known: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """The fields that are columns or hold such; for JSON objects, with the keys that are."""

    def with_label(self, names: Sequence[str]) -> "TarSchema":
        """Return the schema with a label that does not come from the samples."""
        label = Column(LABEL_COLUMN, {"class_label": list(names)})
        others = tuple(c for c in self.columns if c.name != LABEL_COLUMN)
        origins = {name: each for name, each in self.origins.items() if name != LABEL_COLUMN}
        return TarSchema((label, *others), origins, self.known)

    def field_of(self, column: str, fields: Iterable[str]) -> str | None:
        """Return the field that holds a column's value among those a sample has."""
        origin = self.origins.get(column)
        present = set(fields)
        return next((f for f in origin.fields if f in present), None) if origin else None

    def narrowed(self, names: Iterable[str]) -> "TarSchema":
        """Return what reading these columns needs; class names, which may be many, are left out."""
        origins = {name: self.origins[name] for name in names if name in self.origins}
        return TarSchema((), origins, self.known)

    def read(
        self, names: Sequence[str], key: str, fields: Iterable[str], fetch: Fetch
    ) -> tuple[dict[str, Any], list[str]]:
        """Return the named columns of a sample and what is left out; raises MemberValueError."""
        values: dict[str, Any] = {}
        parsed: dict[str, Any] = {}
        present = frozenset(fields)
        for name in names:
            values[name] = key if name == KEY_COLUMN else None
            origin = self.origins.get(name)
            field = next((f for f in origin.fields if f in present), None) if origin else None
            if field is None or origin is None:
                continue
            if field not in parsed:
                parsed[field] = parse(field, origin.form, fetch(field))
            whole = parsed[field]
            if origin.key is None:
                values[name] = whole
            elif isinstance(whole, Mapping):
                values[name] = whole.get(origin.key)
        return values, [*self._left_out(present, parsed)]

    def _left_out(self, present: frozenset[str], parsed: Mapping[str, Any]) -> Iterator[str]:
        """Yield what of a sample has no column: members, keys of JSON, further images."""
        for field in sorted(present - self.known.keys()):
            why = _LATE if form_of(field) else "it is not an image, a string, a number or JSON"
            yield f"members left out: {shown('.' + field)}: {why}"
        for field, whole in parsed.items():
            if self.known.get(field) and isinstance(whole, Mapping):
                for key in sorted(map(str, whole.keys() - self.known[field])):
                    yield f"JSON keys left out: {shown(key)}: {_LATE}"
        for origin in self.origins.values():
            if origin.form == "image" and len(present.intersection(origin.fields)) > 1:
                yield "images left out: a sample has several of one name, the first is packed"


def form_of(field: str) -> Form | None:
    """Return what a field holds, by its last suffix; None for what is not a column."""
    suffix = field.rpartition(".")[2]
    if suffix in IMAGE_EXTENSIONS:
        return "image"
    if suffix in _STRINGS:
        return "text"
    if suffix in _INTEGERS:
        return "integer"
    return "json" if suffix in _JSONS else None


def parse(field: str, form: Form, data: bytes) -> Any:
    """Return the value of a member. Raises MemberValueError."""
    try:
        if form == "json":
            return json.loads(data)
        if form == "integer":
            return int(data.decode("ascii"))
        return data.decode("utf-8") if form == "text" else data
    except (ValueError, RecursionError) as exc:
        raise MemberValueError(
            f"the member {field!r} is not valid {_FORM_NAMES[form]}: {exc}"
        ) from exc


def infer_schema(
    samples: Iterable[Mapping[str, bytes | None]], class_names: Mapping[str, Sequence[str]]
) -> TarSchema:
    """Return the schema of the first samples: by field, the content, None for images.

    Bare image suffixes are one column "image", unless one sample has several of them; `seg.png` is
    "seg". `cls` is "label", the keys of `json` are columns of their own.
    """
    seen = [dict(sample) for sample in samples]
    bare = [[f for f in sample if "." not in f and form_of(f) == "image"] for sample in seen]
    makers = _Makers(one_image=all(len(images) < 2 for images in bare))
    for sample in seen:
        for field, data in sample.items():
            makers.see(field, data)
    origins, dtypes = makers.result()
    for name, names in class_names.items():
        if dtypes.get(name) == "int64":
            dtypes[name] = {"class_label": list(names)}
    columns = tuple(Column(name, dtype) for name, dtype in dtypes.items())
    return TarSchema((*columns, Column(KEY_COLUMN, "string")), origins, _known(origins))


def _known(origins: Mapping[str, Origin]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for origin in origins.values():
        for name in origin.fields:
            found.setdefault(name, set()).update([origin.key] if origin.key is not None else [])
    return {name: frozenset(keys) for name, keys in found.items()}


def refuse_dotted_keys(
    tar: str, seen: Sequence[Mapping[str, bytes | None]], schema: TarSchema
) -> None:
    """Refuse tars in which dots before the extensions leave no column that is the image.

    Raises SourceError.
    """
    images = (field for sample in seen for field in sample if form_of(field) == "image")
    dotted = [field for field in images if "." in field]
    is_one = any(len(sample) == MAX_MEMBERS for sample in seen)  # all names share their start
    has_image = any(column.dtype == "image" for column in schema.columns)
    if not dotted or (has_image and not is_one):
        return
    raise SourceError(
        f"no column of {tar!r} is an image: member names have dots before the extension, and the "
        f"part after the first dot, for example {dotted[0]!r}, does not belong to the key "
        "(wdsremux verify: W501); pack again with keys without dots"
    )


@dataclass(slots=True, init=False)
class _Makers:
    """Collects the columns while samples are seen."""

    one_image: bool
    members: dict[str, Origin]
    keys: dict[tuple[str, str], Dtype]
    """Dtypes by (field, key) of JSON objects."""
    whole: dict[str, Dtype]
    """Dtypes of columns that are a whole member."""

    def __init__(self, *, one_image: bool) -> None:
        self.one_image, self.members, self.keys, self.whole = one_image, {}, {}, {}

    def see(self, field: str, data: bytes | None) -> None:
        form = form_of(field)
        if form is None:
            return
        if form == "json" and "." not in field and self._see_object(field, data):
            return
        name = self._column(field, form)
        known = self.members.get(name, Origin((), form))
        if field not in known.fields:
            known = Origin((*known.fields, field), form)
        self.members[name] = known
        dtypes: dict[Form, Dtype] = {"image": "image", "text": "string", "integer": "int64"}
        dtype = dtypes[form] if form in dtypes else dtype_of(_parsed_or_none(field, data))
        self.whole[name] = merged(self.whole.get(name, "null"), dtype)

    def _see_object(self, field: str, data: bytes | None) -> bool:
        value = _parsed_or_none(field, data)
        if not isinstance(value, dict):
            return value is None  # a broken member has no type
        for key, item in value.items():
            self.keys[field, key] = merged(self.keys.get((field, key), "null"), dtype_of(item))
        return True

    def _column(self, field: str, form: Form) -> str:
        stem, _, suffix = field.rpartition(".")
        if stem:  # "key" alone is the sample's own
            return (field if stem == KEY_COLUMN else stem).replace(".", "_")
        if form == "image" and self.one_image:
            return "image"
        return "label" if field == "cls" else suffix

    def result(self) -> tuple[dict[str, Origin], dict[str, Dtype]]:
        origins, dtypes = dict(self.members), dict(self.whole)
        for column, origin in self.members.items():
            if origin.form == "image" and (self.one_image or "." in origin.fields[0]):
                # A later sample may have another format.
                stem, dot, _ = origin.fields[0].rpartition(".")
                others = (f"{stem}{dot}{extension}" for extension in sorted(IMAGE_EXTENSIONS))
                fields = tuple(dict.fromkeys((*origin.fields, *others)))
                origins[column] = Origin(fields, "image")
        for (field, key), dtype in self.keys.items():
            # A member of its own wins over a key of the same name.
            name = f"json_{key}" if key in origins or key == KEY_COLUMN else key
            while name in origins:
                name += "_"
            origins[name] = Origin((field,), "json", key)
            dtypes[name] = dtype
        return origins, dtypes


def _parsed_or_none(field: str, data: bytes | None) -> Any:
    try:
        return parse(field, "json", data or b"")
    except MemberValueError:
        return None
