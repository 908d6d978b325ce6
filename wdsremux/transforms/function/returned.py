"""Converts what a user's function returned for an image to pixels, or refuses it with a reason."""

import sys
from typing import Any

import numpy as np
from PIL import Image

from wdsremux.transforms.base import Pixels
from wdsremux.transforms.codecs.label_image import LabelImage, labels_from_returned
from wdsremux.transforms.codecs.modes import pixels_from_image
from wdsremux.transforms.codecs.profiles import ProfileCache

ALLOWED = (
    "return a PIL image, a uint8 array of H×W×3 (RGB), H×W×4 (RGBA), H×W or H×W×1 (gray), "
    "a uint8 tensor of C×H×W (C = 3, 4 or 1) or H×W, encoded bytes, or None to leave it out"
)


class WrongReturnError(Exception):
    """The function breaks its contract; the message says what it returned and what is allowed."""


class UnusableImageError(Exception):
    """One image cannot be used; the message is the reason of the reject."""


def image_from_returned(
    value: Any, matte: tuple[int, int, int], profiles: ProfileCache
) -> Pixels | bytes:
    """Return H×W×3 uint8 RGB, contiguous and perhaps shared with the function, or the bytes.

    PIL images of any mode, uint8 arrays H×W, H×W×1, H×W×3 and H×W×4 (RGBA, put on the matte), and
    uint8 tensors C×H×W or H×W of PyTorch.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        if not len(value):
            raise UnusableImageError("the function returned empty bytes")
        return bytes(value)
    if isinstance(value, Image.Image):
        return _from_pillow(value, matte, profiles)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = _array_from_tensor(value, torch)
    if isinstance(value, np.ndarray):
        return _from_array(value, matte, profiles)
    raise WrongReturnError(f"{_name(value)} as image; {ALLOWED}")


def mask_from_returned(column: str, value: Any) -> LabelImage | bytes:
    """Return the mask of a column, or the bytes of its file; no value is changed."""
    try:
        return labels_from_returned(value)
    except TypeError as exc:
        raise WrongReturnError(f"{exc} (column {column!r})") from exc
    except (ValueError, OSError) as exc:
        raise UnusableImageError(f"column {column!r}: {exc}") from exc


def _from_pillow(image: Image.Image, matte: tuple[int, int, int], profiles: ProfileCache) -> Pixels:
    if not image.width or not image.height:
        raise _empty(image.width, image.height)
    try:
        return pixels_from_image(image, matte, profiles)
    except (OSError, ValueError) as exc:  # of a file that is decoded only now, or an odd mode
        raise UnusableImageError(f"the returned image cannot be used: {exc}") from exc


def _from_array(
    array: np.ndarray[Any, Any], matte: tuple[int, int, int], profiles: ProfileCache
) -> Pixels:
    shape = "×".join(map(str, array.shape))
    if array.dtype != np.uint8:
        scale = "scale to 0..255 and " if array.dtype.kind == "f" else ""
        raise WrongReturnError(f"an array of {array.dtype}; {scale}convert with .astype('uint8')")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise WrongReturnError(f"an array of shape {shape}; {ALLOWED}")
    if not array.size:
        raise _empty(array.shape[1], array.shape[0])
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    if array.shape[2] == 4:
        image = Image.fromarray(np.ascontiguousarray(array), "RGBA")
        return pixels_from_image(image, matte, profiles)
    return np.ascontiguousarray(array)


def _array_from_tensor(tensor: Any, torch: Any) -> np.ndarray[Any, Any]:
    if tensor.dtype != torch.uint8:
        raise WrongReturnError(
            f"a tensor of {tensor.dtype}; scale to 0..255 and convert with .to(torch.uint8)"
        )
    array: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    if array.ndim == 2:
        return array
    if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
        shape = "×".join(map(str, array.shape))
        raise WrongReturnError(f"a tensor of shape {shape}; {ALLOWED}")
    return array.transpose(1, 2, 0)


def _empty(width: int, height: int) -> UnusableImageError:
    return UnusableImageError(f"the function returned an empty image ({width}×{height})")


def _name(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"
