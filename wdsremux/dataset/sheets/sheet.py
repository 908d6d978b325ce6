"""A contact sheet: rows with the original image beside the images that are packed."""

from dataclasses import dataclass, field

IMAGE_PX = 320
"""Longer side of the images of a sheet, in pixels."""


@dataclass(frozen=True, slots=True)
class SheetImage:
    """One image of a sheet."""

    data: bytes
    """A JPEG, PNG or WebP."""
    size: str
    """Its size as it is stored, in words: "640 × 480, 81.2 kB"."""
    lines: tuple[str, ...] = ()
    """What was done to it, one line each."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row of a source, or one key of an output."""

    title: str
    label: str = ""
    original: SheetImage | None = None
    packed: tuple[SheetImage, ...] = ()
    """One for each copy."""
    problem: str = ""
    """Why an image is missing."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A contact sheet."""

    title: str
    facts: tuple[str, ...] = ()
    """Lines below the title: the source, the recipe."""
    rows: tuple[SheetRow, ...] = field(default=(), repr=False)
