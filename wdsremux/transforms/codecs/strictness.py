"""Keeps Pillow strict while images are decoded, whatever global switch the user's code has set.

`ImageFile.LOAD_TRUNCATED_IMAGES = True` is common in training scripts. With it, half-empty images
would be packed, and which ones would depend on when a worker imports the user's function. Short
because it handles that switch alone, for all formats that Pillow opens.
"""

import contextlib
import threading
from collections.abc import Iterator

from PIL import ImageFile


class _Strictness:
    """Counts the decodes in progress: the first one sets the switch, the last one restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decodes = 0
        self._users = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._decodes:
                self._users = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
            self._decodes += 1
        try:
            yield
        finally:
            with self._lock:
                self._decodes -= 1
                if not self._decodes:
                    ImageFile.LOAD_TRUNCATED_IMAGES = self._users


strict_pillow = _Strictness()
"""A context in which Pillow refuses truncated images. One for the process, like Pillow's switch."""
