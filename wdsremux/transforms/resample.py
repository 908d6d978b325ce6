"""Applies geometry to pixels: crops, rotations, and the one resampling of an image.

The filter is antialiased bicubic (Catmull-Rom, a = -0.5), as Pillow's BICUBIC.

cykooz_resizer (the Rust crate fast_image_resize) is used where it is installed, else Pillow. Its
paths for SSE4.1, AVX2 and neither produce equal bytes: a test checks that.
"""

import numpy as np
from PIL import Image

from wdsremux.transforms.base import Pixels, rgb, rgbx
from wdsremux.transforms.libraries import cv2
from wdsremux.transforms.pending_geometry import Box, PendingGeometry, Size

try:
    import cykooz_resizer as fir
except ImportError:  # no wheel for this platform
    fir = None


def resampler_name() -> str:
    """Return the name of the package that resamples; it decides bytes."""
    return "pillow" if fir is None else "cykooz_resizer"


def resample(pixels: Pixels, box: Box, size: Size) -> Pixels:
    """Return the box of H×W×3 or H×W×4 pixels at the size (width, height).

    Pixels outside the box but inside the image affect the edges of the result, by the support of
    the filter: as if the whole image were resampled and then cropped.
    """
    source = np.ascontiguousarray(rgbx(pixels))
    result = _by_pillow(source, box, size) if fir is None else _by_fir(source, box, size)
    return rgb(result) if pixels.shape[2] == 3 else result


def _image(pixels: Pixels) -> Image.Image:
    """Wrap H×W×4 pixels without a copy.

    CMYK is the mode with four equal channels; in other modes the fourth has a meaning.
    """
    height, width = pixels.shape[:2]
    return Image.frombuffer("CMYK", (width, height), pixels, "raw", "CMYK", 0, 1)


def _by_fir(pixels: Pixels, box: Box, size: Size) -> Pixels:
    left, top, right, bottom = box
    result = np.empty((size[1], size[0], 4), np.uint8)
    target = _image(result)
    target.readonly = 0  # Pillow treats mapped memory as read-only; this is ours
    options = fir.ResizeOptions(
        fir.ResizeAlg.convolution(fir.FilterType.catmull_rom),
        use_alpha=False,
        crop_box=fir.CropBox(left, top, right - left, bottom - top),
    )
    # A new one each time (10 µs): it keeps buffers and is not thread-safe.
    fir.Resizer().resize_pil(_image(pixels), target, options)
    return result


def _by_pillow(pixels: Pixels, box: Box, size: Size) -> Pixels:
    return np.array(_image(pixels).resize(size, Image.Resampling.BICUBIC, box=box))


def render(pixels: Pixels, plan: PendingGeometry) -> Pixels:
    """Apply a plan; returns the pixels themselves if it changes nothing, else new ones."""
    turned = plan.transposed or plan.mirrored or plan.inverted
    if not (plan.resamples or turned) and plan.target == plan.source:
        return pixels
    if plan.resamples:
        result = resample(pixels, plan.box, plan.target)
    else:
        left, top, right, bottom = (round(edge) for edge in plan.box)
        result = pixels[top:bottom, left:right]
    if plan.transposed:
        result = np.asarray(cv2.transpose(result), np.uint8)
    if plan.mirrored or plan.inverted:
        code = -1 if plan.mirrored and plan.inverted else int(plan.mirrored)
        result = np.asarray(cv2.flip(result, code), np.uint8)
    return result if result.flags.c_contiguous and result.base is not pixels else result.copy()
