"""Keeps Pillow strict while images are decoded, whatever global switches the user's code has set.

`ImageFile.LOAD_TRUNCATED_IMAGES = True` is common in training scripts. With it, half-empty images
would be packed, and which ones would depend on when a worker imports the user's function. Filters
that turn warnings into errors would reject images with a damaged Exif block in the same way, and
a small `Image.MAX_IMAGE_PIXELS` some formats; `ImageFile.MAXBLOCK` changes error messages and
the chunks of a PNG that is written. Short because it handles these alone, for all formats.
"""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageFile

_SWITCHES: tuple[tuple[Any, str, Any], ...] = (
    (ImageFile, "LOAD_TRUNCATED_IMAGES", False),
    (ImageFile, "MAXBLOCK", 65536),
    (ImageFile, "SAFEBLOCK", 1 << 20),
    (Image, "MAX_IMAGE_PIXELS", None),  # --max-pixels is the bound
)
"""Module, name and the value of Pillow's switches while we decode and encode."""


class _Strictness:
    """Counts the decodes in progress: the first sets the switches, the last restores them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decodes = 0
        self._users: list[Any] = []
        self._filters = warnings.catch_warnings()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._decodes:
                self._users = [getattr(module, name) for module, name, _ in _SWITCHES]
                self._filters = warnings.catch_warnings(action="ignore")
                self._filters.__enter__()
            for module, name, value in _SWITCHES:
                setattr(module, name, value)
            self._decodes += 1
        try:
            yield
        finally:
            with self._lock:
                self._decodes -= 1
                if not self._decodes:
                    for (module, name, _), value in zip(_SWITCHES, self._users, strict=True):
                        setattr(module, name, value)
                    self._filters.__exit__(None, None, None)


strict_pillow = _Strictness()
"""A context in which Pillow reads and writes by its defaults, and warns of nothing.

One for the process, like the switches.
"""
