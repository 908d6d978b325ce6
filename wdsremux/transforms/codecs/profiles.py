"""Converts colours from embedded ICC profiles to sRGB."""

import io
import threading
from collections import OrderedDict

import numpy as np
from PIL import Image

from wdsremux.transforms.base import Pixels
from wdsremux.transforms.libraries import ImageCms

_MODES = {"RGB": ("RGB",), "GRAY": ("L",), "CMYK": ("CMYK",), "Lab": ("LAB",)}
_INVISIBLE = 1
"""Levels of 255 by which a profile may differ from sRGB and still count as sRGB."""


class ProfileCache:
    """The transforms of recent profiles, by their bytes; thread-safe."""

    def __init__(self, max_profiles: int = 32) -> None:
        self._max_profiles = max_profiles
        self._transforms: OrderedDict[tuple[bytes, str], ImageCms.ImageCmsTransform | None] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["ProfileCache"], tuple[int]]:
        return ProfileCache, (self._max_profiles,)

    def transform(self, profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
        """Return the transform from a Pillow mode to sRGB; None if there is nothing to do.

        Nothing is done for a profile that is broken, that is for another mode, or that has the
        effect of sRGB: many programs write their own form of it.
        """
        key = (profile, mode)
        with self._lock:
            if key in self._transforms:
                self._transforms.move_to_end(key)
                return self._transforms[key]
            made = _transform(profile, mode)
            self._transforms[key] = made
            while len(self._transforms) > self._max_profiles:
                self._transforms.popitem(last=False)
        return made

    def lab(self) -> "ImageCms.ImageCmsTransform":
        """Return the transform from CIE L*a*b* images, which need no profile, to sRGB."""
        return ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        )


def _transform(profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode not in _MODES.get(source.profile.xcolor_space.strip(), ()):
            return None
        made = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "RGB" and _does_nothing(made):
            return None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return made


def _does_nothing(transform: "ImageCms.ImageCmsTransform") -> bool:
    """Try a transform on a grid of colours."""
    levels = np.linspace(0, 255, 18).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    difference = np.abs(apply_to_rgb(transform, grid).astype(np.int16) - grid)
    return int(difference.max()) <= _INVISIBLE


def apply_to_rgb(transform: "ImageCms.ImageCmsTransform", pixels: Pixels) -> Pixels:
    """Return H×W×3 pixels in sRGB."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.array(ImageCms.applyTransform(image, transform))
