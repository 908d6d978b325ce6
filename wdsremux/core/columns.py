"""What the columns of a source are, and which of them a recipe takes.

A dtype is what the dataset card calls it: "int64", "float64", "string", "bool", "null", "image",
"binary", "timestamp", {"class_label": [names]}, {"list": dtype}, {"struct": {name: dtype}}, or
"unsupported".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wdsremux.core.errors import UsageError

Dtype = str | dict[str, Any]

RESERVED = ("label", "label_name", "width", "height", "position", "copy", "key")
"""Names of our own JSON fields; a source column of that name is written as source_NAME."""

_RENAMED = re.compile(f"(source_)*({'|'.join(RESERVED)})")

ADDED_TYPES = ("string", "int64", "float64", "bool")
"""Types that a column added by the user's function may be given, as NAME:TYPE."""

LABEL_NAMES = ("label", "labels", "cls", "class", "target")
"""A column of such a name is the label when none is a class label by its type."""


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

    @property
    def json_name(self) -> str:
        """What the column is called in the JSON of a sample; different for different columns."""
        # Shards of ours are sources too: they have a source_position beside a position.
        return f"source_{self.name}" if _RENAMED.fullmatch(self.name) else self.name


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns a recipe takes from a source."""

    image: str
    label: Column | None
    extras: tuple[Column, ...]
    key: str | None
    added: tuple[Column, ...] = ()
    """Extra columns that the source does not have: the user's function adds them."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Every column to be read beside the image, each once, in a fixed order."""
        label = (self.label.name,) if self.label else ()
        key = (self.key,) if self.key else ()
        return tuple(dict.fromkeys((*label, *(c.name for c in self.extras), *key)))


@dataclass(frozen=True, slots=True)
class ColumnWishes:
    """What the recipe says of columns; None is "find it", an empty text "none"."""

    image: str | None = None
    label: str | None = None
    extras: tuple[str, ...] | None = None
    key: str | None = None


def choose_columns(
    features: Sequence[Column], wishes: ColumnWishes, *, has_function: bool
) -> Columns:
    """Choose the columns by the wishes and the features. Raises UsageError with what there is.

    `has_function` says that a function of the user's can add columns.
    """
    by_name = {column.name: column for column in features}
    image = _image(features, by_name, wishes.image)
    label = _label(features, by_name, wishes.label, image)
    taken = {image, label.name if label else None}
    if wishes.extras is None:
        taken |= _made_by_us(by_name)
        extras = tuple(c for c in features if c.name not in taken and _fits_json(c.dtype))
        added: tuple[Column, ...] = ()
    else:
        names = dict.fromkeys(wishes.extras)
        for name in names:
            if not has_function:
                _named(by_name, name, "--extra-columns")
        extras = tuple(by_name[name] for name in names if name in by_name and name not in taken)
        added = tuple(_added(name) for name in names if name not in by_name)
    _refuse_clashes(extras, added, label)
    if wishes.key:
        _named(by_name, wishes.key, "--key-column")
    return Columns(image, label, extras, wishes.key or None, added)


def remarks_on(
    features: Sequence[Column], wishes: ColumnWishes, columns: Columns
) -> tuple[str, ...]:
    """Return what somebody should know who took the columns that were found."""
    remarks = []
    if columns.label is None and wishes.label is None:
        remarks.append(
            "no label column was found: the JSON has no label; name one with --label-column, or '' "
            "to say that there is none"
        )
    if wishes.extras is None:
        by_name = {column.name: column for column in features}
        taken = {columns.image, *columns.fields, *_made_by_us(by_name)}
        left = {name: column for name, column in by_name.items() if name not in taken}
        if left:
            remarks.append(f"columns left out: {_list(left)}; --extra-columns packs what it names")
    return tuple(remarks)


def _made_by_us(by_name: Mapping[str, Column]) -> set[str]:
    """Return the fields that an earlier conversion of ours wrote: they are made anew."""
    every = {"width", "height", "position"}
    return every | {"label_name", "copy"} if every <= by_name.keys() else set()


def _added(text: str) -> Column:
    """Read NAME or NAME:TYPE of a column that the user's function adds."""
    name, _, dtype = text.partition(":")
    plain = dtype.removesuffix("[]")
    if dtype and plain not in ADDED_TYPES:
        raise UsageError(
            f"--extra-columns {text!r}: the type can be {', '.join(ADDED_TYPES)}, or a list of "
            f"them such as {ADDED_TYPES[0]}[]"
        )
    return Column(name, {"list": plain} if dtype.endswith("[]") else dtype or "string")


def _refuse_clashes(
    extras: Sequence[Column], added: Sequence[Column], label: Column | None
) -> None:
    """Refuse columns of which one would silently replace the other in the JSON."""
    free = ("label", "label_name") if label is None else ()
    names = [column.name for column in added]
    for name in names:
        if name in RESERVED and name not in free:
            raise UsageError(
                f"--extra-columns {name!r}: the JSON has a field of that name already; let the "
                "function give it another"
            )
    for column in extras:
        if column.json_name in names:
            raise UsageError(
                f"--extra-columns {column.json_name!r}: column {column.name!r} is called so in the "
                "JSON; let the function give its own another name"
            )


def _named(by_name: dict[str, Column], name: str, flag: str) -> Column:
    if name not in by_name:
        raise UsageError(f"{flag} {name!r}: the source has no such column; it has {_list(by_name)}")
    return by_name[name]


def _list(by_name: dict[str, Column]) -> str:
    return ", ".join(f"{c.name} ({_word(c.dtype)})" for c in by_name.values()) or "no columns"


def _word(dtype: Dtype) -> str:
    return dtype if isinstance(dtype, str) else next(iter(dtype))


def _image(features: Sequence[Column], by_name: dict[str, Column], wish: str | None) -> str:
    if wish:
        column = _named(by_name, wish, "--image-column")
        if column.dtype not in ("image", "binary", "string"):
            raise UsageError(
                f"--image-column {wish!r} holds {_word(column.dtype)}, not images; "
                f"the source has {_list(by_name)}"
            )
        return wish
    found = [c.name for c in features if c.dtype == "image"]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"the source has no image column; name one with --image-column; it has {_list(by_name)}"
        )
    raise UsageError(
        f"the source has several image columns: {', '.join(found)}; choose one with --image-column"
    )


def _label(
    features: Sequence[Column], by_name: dict[str, Column], wish: str | None, image: str
) -> Column | None:
    if wish == "":
        return None
    if wish == image:
        raise UsageError(f"--label-column {wish!r} is the image; name another, or '' for none")
    if wish:
        return _named(by_name, wish, "--label-column")
    classes = [c for c in features if c.class_names is not None]
    named = [c for n in LABEL_NAMES if (c := by_name.get(n)) and n != image and _fits_json(c.dtype)]
    return next(iter([*(c for c in named if c in classes), *classes, *named]), None)


def _fits_json(dtype: Dtype) -> bool:
    """Return whether a column is packed without being named: bytes and images are not."""
    if isinstance(dtype, str):
        return dtype not in ("image", "binary", "unsupported")
    if "list" in dtype:
        return _fits_json(dtype["list"])
    if "struct" in dtype:
        return all(_fits_json(inner) for inner in dtype["struct"].values())
    return True
