"""Images inside other values: base64 in a string, the images of a list."""

import base64
import binascii
from typing import Any

from wdsremux.core.image_formats import is_image_start
from wdsremux.core.option_values import shortened

_LEAST_CHARS = 64
_START_CHARS = 24


def has_embedded_start(value: Any) -> bool:
    """Return whether a value is a string that begins as base64 of an image does."""
    if not isinstance(value, str) or len(value) < _LEAST_CHARS:
        return False
    try:
        return is_image_start(base64.b64decode(_payload(value)[:_START_CHARS], validate=True))
    except (binascii.Error, ValueError):
        return False


def embedded_image(value: str) -> bytes | None:
    """Return the image that a string holds as base64 or a data: URL, None when it holds none."""
    if not has_embedded_start(value):
        return None
    try:
        return base64.b64decode(_payload(value))
    except (binascii.Error, ValueError):
        return None


def _payload(value: str) -> str:
    return value.partition(",")[2] if value.startswith("data:") else value.lstrip()


def others_of(value: Any) -> tuple[Any, ...]:
    """Return the items of a list of images after the first; nothing of other values."""
    return tuple(value[1:]) if isinstance(value, list | tuple) else ()


def remark_on_list(column: str, others: int) -> tuple[tuple[str, int], ...]:
    """Return the remark on a row of whose list of images only the first is packed."""
    if not others:
        return ()
    text = (
        f"images left out: column {shown(column)} holds lists, of which the first image is packed; "
        "--image-list each packs all"
    )
    return ((text, others),)


def first_of(value: Any) -> Any:
    """Return the first item of a list of images, None of an empty one, other values unchanged."""
    if isinstance(value, list | tuple):
        return value[0] if value else None
    return value


def shown(path: str) -> str:
    """Return a path for a message: quoted, and shortened when it is not one."""
    return repr(shortened(path))
