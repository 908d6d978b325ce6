"""The images of a sample where `--image-columns` names several: which are masks, and their members.

A mask holds label values instead of colours: it is stored as a PNG, resampled by nearest neighbour,
and changed by no step that changes colours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wdsremux.core.errors import UsageError

_KINDS = ("image", "mask")
_MASK_WORDS = frozenset(
    ("mask", "masks", "seg", "segmentation", "segmap", "annotation", "annotations", "label",
     "labels", "labelmap", "panoptic", "parsing", "trimap")
)  # fmt: skip
"""A column whose name contains one of these holds masks, unless the user says otherwise."""
_WORDS = re.compile(r"[a-z]+")
_UNSAFE = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ImageColumn:
    """One of several image columns that are packed into the same sample."""

    name: str
    is_mask: bool

    @property
    def text(self) -> str:
        """The column as the recipe records it: NAME:image or NAME:mask."""
        return f"{self.name}:{_KINDS[self.is_mask]}"

    @property
    def member(self) -> str:
        """What precedes the format in the extension of its member: `mask` of `mask.png`."""
        return _UNSAFE.sub("_", self.name.lower())


def image_columns_from(texts: Sequence[str]) -> tuple[ImageColumn, ...]:
    """Read columns written as NAME, NAME:image or NAME:mask. Raises UsageError.

    Without a kind, the name decides: one of "mask", "segmentation", "label" and alike is a mask.
    """
    columns = tuple(map(_column, texts))
    members: dict[str, str] = {}
    for column in columns:
        other = members.setdefault(column.member, column.name)
        if other != column.name or texts.count(column.name) > 1:
            raise UsageError(
                f"--image-columns {other!r} and {column.name!r} would both be the member "
                f"{column.member!r} of a sample; name each column once, and rename one if they "
                "differ in case or punctuation only"
            )
    if len(columns) == 1 or all(column.is_mask for column in columns):
        raise UsageError(
            f"--image-columns {','.join(texts)} needs two or more columns, one of which is not a "
            "mask; write NAME:image or NAME:mask to say what a column holds"
        )
    return columns


def _column(text: str) -> ImageColumn:
    name, _, kind = text.rpartition(":")
    if name and kind in _KINDS:
        return ImageColumn(name, kind == "mask")
    words = _WORDS.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower())
    return ImageColumn(text, not _MASK_WORDS.isdisjoint(words))
