"""Converts decoded images of any mode to 8-bit sRGB; defines the policy for unusual modes.

Large images are converted in parts, so that a conversion takes little more than its result.
"""

import numpy as np
from PIL import Image

from wdsremux.transforms.base import Pixels
from wdsremux.transforms.codecs.depth import Depth, is_deep
from wdsremux.transforms.codecs.parts import parts_of
from wdsremux.transforms.codecs.profiles import ProfileCache
from wdsremux.transforms.libraries import ImageCms

_GRAY = frozenset(("1", "L", "LA", "La"))
_TRANSPARENT = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))
_MAY_HAVE_A_TRANSPARENT_COLOUR = frozenset(("1", "L", "P", "RGB"))


def pixels_from_image(
    image: Image.Image,
    matte: tuple[int, int, int],
    profiles: ProfileCache,
    depth: Depth | None = None,
) -> Pixels:
    """Return a decoded image of any mode as H×W×3 uint8 sRGB, transparent parts on the matte.

    Raises ValueError or OSError for a mode that cannot be converted to RGB.
    """
    width, height = image.size
    image.load()
    profile, alpha = image.info.get("icc_profile") or b"", None
    if is_deep(image):
        alpha = _marked(image)
        image = (depth or Depth()).eight_bit(image)
    pixels = np.empty((height, width, 3), np.uint8)
    for part in parts_of(width, height):
        colour, opacity = _without_alpha(image.crop(part))
        colour = _srgb(_eight_bit(colour), profile, profiles)
        opacity = alpha.crop(part) if alpha is not None else opacity
        if opacity is not None:
            canvas = Image.new("RGB", colour.size, matte)
            canvas.paste(colour, mask=opacity)
            colour = canvas
        left, top, right, bottom = part
        pixels[top:bottom, left:right] = np.asarray(colour)
    return pixels


def _marked(image: Image.Image) -> Image.Image | None:
    """Return the opacity of a deep image, of which one value may be transparent."""
    marked = image.info.get("transparency")
    if not image.mode.startswith("I;16") or not isinstance(marked, int):
        return None
    opaque = np.asarray(image) != marked
    return Image.fromarray(opaque.astype(np.uint8) * np.uint8(255))


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Split an image into its colours and its opacity; None when it is opaque."""
    marked = image.info.get("transparency")
    if image.mode in _TRANSPARENT or (
        image.mode in _MAY_HAVE_A_TRANSPARENT_COLOUR and marked is not None
    ):
        if image.mode == "La":
            image = image.convert("LA")  # the only conversion from that mode
        gray = image.mode in _GRAY
        both = image.convert("LA" if gray else "RGBA")
        return both.convert("L" if gray else "RGB"), both.getchannel("A")
    return image, None


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return an image of mode L, RGB, CMYK or LAB."""
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _srgb(image: Image.Image, profile: bytes, profiles: ProfileCache) -> Image.Image:
    """Return the image in mode RGB, by its profile if it has a useful one."""
    transform = profiles.transform(profile, image.mode) if profile else None
    if transform is None and image.mode == "LAB":
        transform = profiles.lab()
    if transform is None:
        return image.convert("RGB")
    try:
        converted = ImageCms.applyTransform(image, transform)
    except ImageCms.PyCMSError as exc:
        raise ValueError(f"cannot apply its colour profile: {exc}") from exc
    if converted is None:  # only where it works in place
        raise ValueError("cannot apply its colour profile")
    return converted
