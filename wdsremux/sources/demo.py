"""The embedded demo: 300 crops of the nine photos that come with the package, in five classes.

Everything is computed from the row number: every run on every machine makes the same images.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.core.records import Record

EDITION = 1
"""Changes with anything that changes an image, a label or the order."""

CLASSES: Mapping[str, tuple[str, ...]] = {
    "animals": ("chelsea",),
    "food": ("coffee",),
    "people": ("astronaut", "retina"),
    "space": ("hubble_deep_field", "rocket"),
    "texture": ("brick", "grass", "gravel"),
}
"""Photos by class, in label order."""

ROWS: Mapping[str, int] = {"train": 270, "validation": 30}

UNIT_ROWS = 45
_SIDES_PX = (320, 500)
_LEAST_SHARE = 0.5
_QUALITY = 95
_JPEG_BYTES = 60_000
"""Average size of an image."""


@dataclass(frozen=True, slots=True)
class DemoUnit:
    """Consecutive images of the demo."""

    first: int
    rows: int
    number: int
    """Number of its first image among the 300."""
    columns: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the images, roughly."""
        return self.rows * _JPEG_BYTES

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return f"images {self.number} to {self.number + self.rows - 1} of the demo"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the records of rows start..stop-1; each image is cut and encoded here."""
        for row in range(start, stop):
            label, photo = _subject(self.number + row)
            values = {"label": label, "photo": photo}
            fields = {name: values.get(name) for name in self.columns}
            yield Record(self.first + row, _jpeg(photo, self.number + row), fields)


class DemoSource:
    """The demo; made by `open_demo`."""

    def identity(self) -> Mapping[str, Any]:
        """Return the edition of the demo."""
        return {"kind": "demo", "edition": EDITION, "images": sum(ROWS.values())}

    def splits(self) -> Mapping[str, int | None]:
        """Return train with 270 images and validation with 30."""
        return dict(ROWS)

    def features(self) -> Sequence[Column]:
        """Return the image, its class, and the name of the photo it is cut from."""
        label = Column("label", {"class_label": list(CLASSES)})
        return Column("image", "image"), label, Column("photo", "string")

    def notes(self) -> Sequence[str]:
        """Return nothing: all is read."""
        return ()

    def units(self, split: str, columns: Columns, start: int) -> Iterator[DemoUnit]:
        """Yield units of 45 images."""
        if split not in ROWS:
            raise SourceError(
                f"the demo has no split {split!r}, only {', '.join(ROWS)}; "
                "name one of these with --split"
            )
        offset = 0 if split == "train" else ROWS["train"]
        for first in range(start - start % UNIT_ROWS, ROWS[split], UNIT_ROWS):
            rows = min(UNIT_ROWS, ROWS[split] - first)
            yield DemoUnit(first, rows, offset + first, columns.fields)


def open_demo() -> DemoSource:
    """Open the embedded demo."""
    return DemoSource()


def _subject(number: int) -> tuple[int, str]:
    """Return (label, photo) of an image: classes alternate, and within a class its photos."""
    cycle, label = divmod(number, len(CLASSES))
    photos = tuple(CLASSES.values())[label]
    return label, photos[cycle % len(photos)]


def _jpeg(photo: str, number: int) -> bytes:
    """Return a crop of a photo: a random window, scaled, half of them mirrored."""
    # Only `random()` returns the same numbers in every version of Python.
    draw = random.Random(f"wdsremux demo {EDITION}: {number}").random  # noqa: S311 (no secret)
    low, high = _SIDES_PX
    width, height = (low + int(draw() * (high - low + 1)) for _ in range(2))
    picture = _photo(photo)
    most = min(picture.width / width, picture.height / height)
    share = most * (_LEAST_SHARE + draw() * (1 - _LEAST_SHARE))
    left = draw() * (picture.width - share * width)
    top = draw() * (picture.height - share * height)
    box = (left, top, left + share * width, top + share * height)
    crop = picture.resize((width, height), Image.Resampling.BICUBIC, box)
    if draw() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    data: bytes = simplejpeg.encode_jpeg(np.asarray(crop, order="C"), quality=_QUALITY)
    return data


@lru_cache(maxsize=9)
def _photo(name: str) -> Image.Image:
    with (files("wdsremux.sources") / "photos" / f"{name}.jpg").open("rb") as file:
        return Image.open(file).convert("RGB")
