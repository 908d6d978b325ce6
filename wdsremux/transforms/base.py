"""What all transforms share: pixels, random streams, and the errors that reject an image."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence

from wdsremux.transforms.libraries import cv2

Pixels = npt.NDArray[np.uint8]
"""H×W×3 RGB, or H×W×4 RGBX, whose fourth channel is unused."""


class DecodeError(Exception):
    """Stored bytes cannot be decoded; the message is the reason of the reject."""


class EncodeError(Exception):
    """Pixels cannot be encoded; the message is the reason of the reject."""


class StepError(Exception):
    """A step cannot be applied to an image; the message is the reason of the reject."""


class _Words(ISeedSequence):
    """Passes a key to a bit generator unchanged.

    `Philox(key=...)` would first read entropy from the system and discard it, which takes three
    times as long.
    """

    def __init__(self, *words: int) -> None:
        self._words = np.array(words, np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[np.uint64]:
        """Return the key; Philox asks for its two 64-bit words."""
        if n_words != len(self._words) or dtype != np.uint64:
            raise ValueError(f"the key has {len(self._words)} words of 64 bits, not {n_words}")
        return self._words


def sample_rng(seed: int, copy: int, position: int) -> np.random.Generator:
    """Return the random stream of one copy of one row; costs about 7 µs.

    Philox is a keyed function of a counter: the seed is the key, copy and position are the high
    words of the counter. Streams of different (seed, copy, position) do not overlap before 2^128
    draws, and depend on nothing else. Each number is from 0 to 2^64 - 1.
    """
    counter = np.array((0, 0, position, copy), np.uint64)
    key: Any = _Words(seed, 0)  # NumPy's stubs do not say that any ISeedSequence is accepted
    return np.random.Generator(np.random.Philox(key, counter=counter))


def rgb(pixels: Pixels) -> Pixels:
    """Return H×W×3: the pixels themselves, or a copy without the fourth channel."""
    if pixels.shape[2] == 3:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), np.uint8)


def rgbx(pixels: Pixels) -> Pixels:
    """Return H×W×4: the pixels themselves, or a copy with a fourth channel."""
    if pixels.shape[2] == 4:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)
