"""Chooses the columns of a source that a recipe packs, by its options and the columns' types."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wdsremux.core.columns import INFERRED, RESERVED, Column, Columns, Dtype, fits_json
from wdsremux.core.errors import UsageError
from wdsremux.core.image_columns import ImageColumn, image_columns_from
from wdsremux.core.option_values import did_you_mean, listed, shortened

ADDED_TYPES = ("string", "int64", "float64", "bool")
"""Types of a column that the user's function adds, written as NAME:TYPE."""

_MOST_LISTED = 20
"""Columns that a message lists."""

LABEL_NAMES = ("label", "labels", "cls", "class", "target")
"""A column with such a name is the label where no column is a class label by its type."""


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
    added: tuple[Column, ...] = ()
    if options.extras is None:
        taken |= _computed(features)
        extras = tuple(c for c in features if c.name not in taken and fits_json(c.dtype))
    else:
        names = dict.fromkeys(options.extras)
        for name in () if has_function else names:
            _named(by_name, name, "--extra-columns")
        extras = tuple(by_name[name] for name in names if name in by_name and name not in taken)
        added = tuple(_added(name) for name in names if name not in by_name)
    _refuse_clashes(extras, added, label)
    _refuse_unknown(by_name, options)
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


def _refuse_unknown(by_name: dict[str, Column], options: ColumnOptions) -> None:
    """Refuse a key column, or a column of a condition, that the source does not have."""
    if options.key:
        _named(by_name, options.key, "--key-column")
    for name in options.tested:
        _named(by_name, name, "--where")


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
    names = [f"{shortened(c.name, 60)} ({_word(c.dtype)})" for c in by_name.values()]
    return listed(names, _MOST_LISTED) or "no columns"


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
