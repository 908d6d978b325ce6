"""The columns of a source, and which of them a recipe packs.

Dtypes are those of the dataset card: "int64", "float64", "string", "bool", "null", "image",
"binary", "timestamp", {"class_label": [names]}, {"list": dtype}, {"struct": {name: dtype}}, or
"unsupported".
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wdsremux.core.errors import UsageError
from wdsremux.core.image_columns import ImageColumn, image_columns_from
from wdsremux.core.option_values import did_you_mean

Dtype = str | dict[str, Any]

RESERVED = ("label", "label_name", "width", "height", "position", "copy", "key")
"""Names of our own JSON fields; a source column with such a name is written as source_NAME."""

_RENAMED = re.compile(f"(source_)*({'|'.join(RESERVED)})")

_COMPUTED = ("label_name", "width", "height", "position", "copy")

ADDED_TYPES = ("string", "int64", "float64", "bool")
"""Types of a column that the user's function adds, written as NAME:TYPE."""

INFERRED: Dtype = "inferred"
"""Type of a column that the user's function adds, until the first batch shows it."""

LABEL_NAMES = ("label", "labels", "cls", "class", "target")
"""A column with such a name is the label where no column is a class label by its type."""


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


@dataclass(frozen=True, slots=True)
class ColumnOptions:
    """The column options of a recipe: None means "find it", an empty string "none"."""

    image: str | None = None
    label: str | None = None
    extras: tuple[str, ...] | None = None
    key: str | None = None
    tested: tuple[str, ...] = ()
    """Names in the condition of --where."""
    text: str | None = None
    has_class: bool = False
    images: tuple[str, ...] = ()
    """The columns of --image-columns."""


def choose_columns(
    features: Sequence[Column], options: ColumnOptions, *, has_function: bool
) -> Columns:
    """Choose the columns by options and features.

    `has_function` says that the user's function can add columns. Raises UsageError that lists the
    columns of the source.
    """
    by_name = {column.name: column for column in features}
    images = _images(by_name, options) if options.images else ()
    image = images[0].name if images else _image(features, by_name, options.image)
    label = _label(features, by_name, options.label, image)
    taken = {image, label.name if label else None, *(column.name for column in images)}
    if options.extras is None:
        taken |= _computed(features)
        extras = tuple(c for c in features if c.name not in taken and fits_json(c.dtype))
        added: tuple[Column, ...] = ()
    else:
        names = dict.fromkeys(options.extras)
        for name in names:
            if not has_function:
                _named(by_name, name, "--extra-columns")
        extras = tuple(by_name[name] for name in names if name in by_name and name not in taken)
        added = tuple(_added(name) for name in names if name not in by_name)
    _refuse_clashes(extras, added, label)
    if options.key:
        _named(by_name, options.key, "--key-column")
    for name in options.tested:
        _named(by_name, name, "--where")
    if options.has_class:
        _refuse_no_class(label, has_function=has_function)
    text = _text(by_name, options.text, has_function=has_function)
    required = [column.name for column in added]
    if text is not None and text.name not in (*by_name, *required):
        required.append(text.name)  # the function adds it
    return Columns(
        image,
        label,
        extras,
        options.key or None,
        added,
        required=tuple(required),
        infers=has_function and options.extras is None,
        tested=tuple(by_name[name] for name in options.tested),
        text=text,
        has_class=options.has_class,
        packed_images=images,
    )


def remarks_on(
    features: Sequence[Column], options: ColumnOptions, columns: Columns
) -> tuple[str, ...]:
    """Return notes about columns that were chosen automatically."""
    remarks = []
    if columns.label is None and options.label is None:
        remarks.append(
            "no label column was found, so samples have no label; name one with --label-column, or "
            "pass --label-column '' if there is none"
        )
    if options.extras is None:
        by_name = {column.name: column for column in features}
        taken = {*columns.read, *_computed(features)}
        left = {name: column for name, column in by_name.items() if name not in taken}
        if left:
            remarks.append(
                f"columns left out: {_list(left)}; name them in --extra-columns to pack them"
            )
    return tuple(remarks)


def of_our_output(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns of an output of wdsremux; fields that it computes again are marked."""
    return tuple(replace(c, is_computed=c.name in _COMPUTED) for c in columns)


def _computed(features: Iterable[Column]) -> set[str]:
    return {column.name for column in features if column.is_computed}


def _text(by_name: dict[str, Column], wanted: str | None, *, has_function: bool) -> Column | None:
    """Return the column of the captions: strings, or class labels, which have names."""
    if not wanted:
        return None
    if wanted not in by_name and has_function:
        return Column(wanted, "string")
    column = _named(by_name, wanted, "--with-text")
    if column.dtype != "string" and column.class_names is None:
        raise UsageError(
            f"--with-text {wanted!r} holds {_word(column.dtype)}, not strings; "
            f"the source has {_list(by_name)}"
        )
    return column


def _refuse_no_class(label: Column | None, *, has_function: bool) -> None:
    """Refuse --cls without labels that are numbers; a function may add a column "label"."""
    if label is None and has_function:
        return
    if label is None:
        raise UsageError("--cls packs the label, and there is none; name it with --label-column")
    word = _word(label.dtype)
    if not word.startswith(("class_label", "int", "uint", "bool")):
        raise UsageError(
            f"--cls packs whole numbers, but the label {label.name!r} holds {word}; remove --cls, "
            "or name another --label-column"
        )


def _added(text: str) -> Column:
    """Read NAME or NAME:TYPE of a column that the user's function adds."""
    name, _, dtype = text.partition(":")
    plain = dtype.removesuffix("[]")
    if dtype and plain not in ADDED_TYPES:
        raise UsageError(
            f"--extra-columns {text!r}: the type must be {', '.join(ADDED_TYPES)}, or a list "
            f"such as {ADDED_TYPES[0]}[]"
        )
    return Column(name, {"list": plain} if dtype.endswith("[]") else dtype or INFERRED)


def _refuse_clashes(
    extras: Sequence[Column], added: Sequence[Column], label: Column | None
) -> None:
    """Refuse two columns that would have the same name in the JSON."""
    free = ("label", "label_name") if label is None else ()
    names = [column.name for column in added]
    for name in names:
        if name in RESERVED and name not in free:
            raise UsageError(
                f"--extra-columns {name!r}: this name is reserved for a field of every sample; "
                "return the column under another name"
            )
    for column in extras:
        if column.json_name in names:
            raise UsageError(
                f"--extra-columns {column.json_name!r}: the source column {column.name!r} has this "
                "name in the JSON; return yours under another name"
            )


def _named(by_name: dict[str, Column], name: str, flag: str) -> Column:
    if name not in by_name:
        raise UsageError(
            f"{flag} {name!r}: not a column of the source{did_you_mean(name, by_name)}; "
            f"it has {_list(by_name)}"
        )
    return by_name[name]


def _list(by_name: dict[str, Column]) -> str:
    return ", ".join(f"{c.name} ({_word(c.dtype)})" for c in by_name.values()) or "no columns"


def _word(dtype: Dtype) -> str:
    return dtype if isinstance(dtype, str) else next(iter(dtype))


def _item_dtype(dtype: Dtype) -> Dtype:
    """Return the dtype of a list's items, and any other dtype as it is."""
    return dtype["list"] if isinstance(dtype, dict) and "list" in dtype else dtype


def _images(by_name: dict[str, Column], options: ColumnOptions) -> tuple[ImageColumn, ...]:
    """Return the columns of --image-columns, the main image first: the first that is not a mask."""
    found = image_columns_from(options.images)
    for column in found:
        _refuse_no_images(by_name, column.name, "--image-columns")
    main = next(c for c in found if not c.is_mask)
    if options.image:
        named = [c for c in found if c.name == options.image and not c.is_mask]
        if not named:
            raise UsageError(
                f"--image-column {options.image!r} is not an image of --image-columns; name one "
                "of these, or leave --image-column out"
            )
        main = named[0]
    return (main, *(column for column in found if column is not main))


def _refuse_no_images(by_name: dict[str, Column], name: str, flag: str) -> None:
    column = _named(by_name, name, flag)
    if _item_dtype(column.dtype) not in ("image", "binary", "string"):
        raise UsageError(
            f"{flag} {name!r} holds {_word(column.dtype)}, not images; "
            f"the source has {_list(by_name)}"
        )


def _image(features: Sequence[Column], by_name: dict[str, Column], wanted: str | None) -> str:
    if wanted:
        _refuse_no_images(by_name, wanted, "--image-column")
        return wanted
    found = [c.name for c in features if c.dtype == "image"]
    if len(found) == 1:
        return found[0]
    if not found:
        plain = ("binary", "string", {"list": "binary"}, {"list": "string"})
        can_be_named = any(c.dtype in plain for c in features)
        advice = "; name one with --image-column" if can_be_named else ""
        raise UsageError(f"no image column found{advice}. The source has {_list(by_name)}")
    raise UsageError(
        f"the source has {len(found)} image columns: {', '.join(found)}; choose one with "
        f"--image-column, or pack several with --image-columns {','.join(found)}"
    )


def _label(
    features: Sequence[Column], by_name: dict[str, Column], wanted: str | None, image: str
) -> Column | None:
    if wanted == "":
        return None
    if wanted == image:
        raise UsageError(
            f"--label-column {wanted!r} is the image column; name another, or '' for none"
        )
    if wanted:
        return _named(by_name, wanted, "--label-column")
    classes = [c for c in features if c.class_names is not None]
    named = [c for n in LABEL_NAMES if (c := by_name.get(n)) and n != image and fits_json(c.dtype)]
    return next(iter([*(c for c in named if c in classes), *classes, *named]), None)


def fits_json(dtype: Dtype) -> bool:
    """Return whether a column is packed by default: bytes and images are not."""
    if isinstance(dtype, str):
        return dtype not in ("image", "binary", "unsupported")
    if "list" in dtype:
        return fits_json(dtype["list"])
    if "struct" in dtype:
        return all(fits_json(inner) for inner in dtype["struct"].values())
    return True
