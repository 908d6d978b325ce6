"""A record on its way through the user's function, and the forms in which the function takes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wdsremux.transforms.codecs.label_image import LabelImage

Mode = Literal["batch", "sample", "image"]
"""The argument of the function: a dict of lists, a dict, an image."""

Input = Literal["pil", "numpy", "bytes"]
"""The images it gets: PIL in mode RGB, arrays H×W×3 uint8 RGB, the stored bytes."""

Picked = npt.NDArray[np.uint8] | bytes | LabelImage
"""An image as a row holds it: H×W×3 uint8 RGB, encoded bytes, or a mask."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One record on its way through the function."""

    position: int
    """Row number in the source."""
    image: npt.NDArray[np.uint8] | bytes
    """H×W×3 uint8 RGB, or encoded bytes. Per image, the function may work on the array itself."""
    fields: dict[str, Any] = field(default_factory=dict)
    """The other columns."""
    number: tuple[int, int] | None = None
    """Where a batch function returned another number of rows: the first row of the batch, and the
    number of the sample among those it returned.
    """
    others: Mapping[str, Picked] = field(default_factory=dict)
    """The further images by column, where a sample has several."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the function."""

    rows: Sequence[Row]
    copy: int

    @property
    def where(self) -> str:
        """Its rows and its copy, for an error."""
        first, last = self.rows[0].position, self.rows[-1].position
        rows = f"row {first}" if len(self.rows) == 1 else f"rows {first} to {last}"
        return rows + (f", copy {self.copy}" if self.copy else "")


def detached_row(row: Row) -> Row:
    """Return a row whose images a function may change."""
    image = row.image if isinstance(row.image, bytes) else row.image.copy()
    others = {
        name: each.copied()
        if isinstance(each, LabelImage)
        else each
        if isinstance(each, bytes)
        else each.copy()
        for name, each in row.others.items()
    }
    return replace(row, image=image, others=others)
