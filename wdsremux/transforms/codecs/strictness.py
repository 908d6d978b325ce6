"""Keeps Pillow strict while images are decoded, whatever global switches the user's code has set.

`ImageFile.LOAD_TRUNCATED_IMAGES = True` is common in training scripts. With it, half-empty images
would be packed, and which ones would depend on when a worker imports the user's function. Filters
that turn warnings into errors would reject images with a damaged Exif block in the same way, and
a small `Image.MAX_IMAGE_PIXELS` some formats. Short because it handles these alone, for all formats
that Pillow opens.
"""

import contextlib
import threading
import warnings
from collections.abc import Iterator

from PIL import Image, ImageFile


class _Strictness:
    """Counts the decodes in progress: the first sets the switches, the last restores them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decodes = 0
        self._users = False
        self._max_pixels: int | None = None
        self._filters = warnings.catch_warnings()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._decodes:
                self._users = ImageFile.LOAD_TRUNCATED_IMAGES
                self._max_pixels = Image.MAX_IMAGE_PIXELS
                self._filters = warnings.catch_warnings(action="ignore")
                self._filters.__enter__()
            ImageFile.LOAD_TRUNCATED_IMAGES = False
            Image.MAX_IMAGE_PIXELS = None  # --max-pixels is the bound
            self._decodes += 1
        try:
            yield
        finally:
            with self._lock:
                self._decodes -= 1
                if not self._decodes:
                    ImageFile.LOAD_TRUNCATED_IMAGES = self._users
                    Image.MAX_IMAGE_PIXELS = self._max_pixels
                    self._filters.__exit__(None, None, None)


strict_pillow = _Strictness()
"""A context in which Pillow refuses truncated images and warns of nothing.

One for the process, like the switches.
"""
