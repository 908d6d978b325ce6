"""Photos, made-up images, colour profiles and how like two images are, for tests of transforms."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

import wdsremux
from wdsremux.transforms.pending_geometry import whole
from wdsremux.transforms.steps.picture import Picture

PHOTOS = Path(wdsremux.__file__).parent / "sources" / "photos"
KINDS = {
    "jpeg": ("JPEG", {}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "jp2": ("JPEG2000", {}),
    "avif": ("AVIF", {"quality": 95}),
}


def photos():
    """Return the bytes of the nine photos, in order of their names."""
    return [path.read_bytes() for path in sorted(PHOTOS.glob("*.jpg"))]


def photo(name):
    """Return one photo as a Pillow image."""
    return Image.open(PHOTOS / f"{name}.jpg").convert("RGB")


def scene(width, height):
    """Return a smooth image in which no two corners are alike."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / max(1, width - 1)
    green = 255 * y / max(1, height - 1)
    blue = 127 + 100 * np.sin(x / 9) * np.cos(y / 7)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def noise(width, height, channels=3, seed=0):
    """Return pixels that no two places share."""
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(image, kind, **options):
    """Return an image as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def stored(kind, image):
    """Return an image as the bytes of a file of one of KINDS."""
    name, options = KINDS[kind]
    return saved(image, name, **options)


def opened(data):
    """Return what Pillow reads from a file's bytes, as pixels."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def psnr(one, other):
    """Return the likeness of two images in dB; 99 for equal ones."""
    error = np.mean((np.asarray(one, np.float64) - np.asarray(other, np.float64)) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def worst(one, other):
    """Return the largest difference of two images in levels."""
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max())


SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""XYZ (D50) of the three primaries."""
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841))


def icc_profile(space, gamma, primaries=SRGB):
    """Return a small ICC profile (ICC.1:2001-04): "RGB " with such primaries, or "GRAY"; pure gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    primaries = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True))
    tags = {b"wtpt": _xyz(0.9642, 1.0, 0.8249)}
    if space == "GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {name: _xyz(*values) for name, values in primaries.items()}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    place = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    head = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", head, 0, place + len(body), b"lcms", 0x02400000, b"mntr",
                     space.encode(), b"XYZ ")  # fmt: skip
    head[36:40] = b"acsp"
    head[68:80] = _xyz(0.9642, 1.0, 0.8249)[8:]
    return bytes(head) + table + body


def _xyz(*values):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def picture_of(pixels):
    """Return a picture of H×W×3 RGB or H×W×4 RGBX uint8 pixels, which are not copied."""
    height, width = pixels.shape[:2]
    return Picture(whole((width, height)), pixels)
