"""What the user's function is called with: a batch, a sample or an image, and random generators."""

import copy as copying
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from PIL import Image

from wdsremux.transforms.base import sample_rng
from wdsremux.transforms.codecs.label_image import LabelImage
from wdsremux.transforms.function.row import Call, Input, Mode, Row


class Arguments:
    """Builds the arguments of one function."""

    def __init__(
        self,
        mode: Mode,
        input: Input,  # noqa: A002 (the option is called so)
        image_names: Sequence[str],
        seed: int,
        wanted: Collection[str],
    ) -> None:
        """Take the image columns, the main one first, and which of "rng" and "rngs" it wants."""
        self._mode = mode
        self._input = input
        self._image_names = image_names
        self._seed = seed
        self._wanted = wanted

    def of(self, rows: Sequence[Row], *, is_last: bool) -> Any:
        """Return the argument for rows: all of a batch, or one.

        With `is_last` no other call needs the pixels of the rows.
        """
        if self._mode == "image":
            return self._given(rows[0], self._image_names[0], is_last=is_last)
        if self._mode == "sample":
            return _copied(rows[0].fields) | {
                n: self._given(rows[0], n, is_last=is_last) for n in self._image_names
            }
        names = dict.fromkeys(name for row in rows for name in row.fields)
        fields = [_copied(row.fields) for row in rows]
        columns: dict[str, list[Any]] = {name: [f.get(name) for f in fields] for name in names}
        images = {
            n: [self._given(row, n, is_last=is_last) for row in rows] for n in self._image_names
        }
        return columns | images

    def _given(self, row: Row, name: str, *, is_last: bool) -> Any:
        """Return the image in the form that the function gets, and may change.

        The row's own pixels are kept if they may be needed again: for a second call, or for a
        function that returns no image.
        """
        image = row.others.get(name, row.image)
        if isinstance(image, bytes):
            return image
        if isinstance(image, LabelImage):
            return image.image() if self._input == "pil" else image.labels.copy()
        if self._input == "pil":
            return Image.fromarray(image)
        is_needed = self._mode != "image" or not is_last
        return image.copy() if is_needed or not image.flags.writeable else image

    def streams(self, call: Call) -> dict[str, Any]:
        """Return the random generators that the function asks for, by parameter."""

        def stream(row: Row) -> np.random.Generator:
            return sample_rng(self._seed, call.copy, row.position)

        streams: dict[str, Any] = {}
        if "rng" in self._wanted:
            streams["rng"] = stream(call.rows[0])
        if "rngs" in self._wanted:
            streams["rngs"] = [stream(row) for row in call.rows]
        return streams


def _copied(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields that may be changed in place: other copies of the row see the same ones."""
    return {
        name: copying.deepcopy(value) if isinstance(value, list | dict) else value
        for name, value in fields.items()
    }
