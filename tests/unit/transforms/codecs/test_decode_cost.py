"""The memory of a decode is estimated from the header, bounded, and what it says."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.pictures import KINDS, photo, saved

from wdsremux.transforms.codecs import modes, parts
from wdsremux.transforms.codecs.codec import Codec, DecodeError
from wdsremux.transforms.codecs.decode_cost import decode_bytes
from wdsremux.transforms.codecs.profiles import ProfileCache

PEAK = """
import re, sys
from pathlib import Path
from wdsremux.transforms.codecs.codec import Codec

def peak():
    return int(re.search("VmHWM: *([0-9]+)", Path("/proc/self/status").read_text().replace("\t", " "))[1])

*small, large = (Path(name).read_bytes() for name in sys.argv[1:])
for data in small:  # each loads the libraries of its format
    Codec().decode(data)
before = peak()
Codec().decode(large)
print((peak() - before) * 1024)
"""
SIDE = 3000


def flat(mode):
    return Image.new(mode, (SIDE, SIDE))


def large(name):
    made = {
        "png RGBA": lambda: saved(flat("RGBA"), "PNG"),
        "png L": lambda: saved(flat("L"), "PNG"),
        "tiff F": lambda: saved(flat("F"), "TIFF"),
        "tiff I;16": lambda: saved(Image.fromarray(np.zeros((SIDE, SIDE), np.uint16)), "TIFF"),
        "tiff CMYK": lambda: saved(flat("CMYK"), "TIFF", compression="tiff_lzw"),
        "bmp": lambda: saved(flat("RGB"), "BMP"),
        "gif": lambda: saved(flat("L"), "GIF"),
        "webp": lambda: saved(flat("RGBA"), "WEBP", lossless=True, method=0),
        "jp2": lambda: saved(flat("RGB"), "JPEG2000"),
        "jpeg": lambda: saved(flat("RGB"), "JPEG"),
        "jpeg progressive": lambda: saved(flat("RGB"), "JPEG", progressive=True, subsampling=0),
        "jpeg CMYK": lambda: saved(flat("CMYK"), "JPEG"),
    }
    return made[name]()


@pytest.mark.parametrize(
    "name",
    [
        *("png RGBA", "png L", "tiff F", "tiff I;16", "tiff CMYK", "bmp", "gif"),
        *("webp", "jp2", "jpeg", "jpeg progressive", "jpeg CMYK"),
    ],
)
def test_decoding_takes_at_most_what_was_estimated(tmp_path, name, monkeypatch):
    data = large(name)
    (tmp_path / "large").write_bytes(data)
    names = [tmp_path / "PNG", tmp_path / "JPEG", tmp_path / "large"]
    for file in names[:2]:
        file.write_bytes(saved(photo("coffee").resize((8, 8)), file.name))
    words = [sys.executable, "-c", PEAK, *names]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    seen = []
    monkeypatch.setattr(
        "wdsremux.transforms.codecs.codec.check_decode_bytes", lambda needed, _: seen.append(needed)
    )
    Codec().open(data)
    # The file itself, a part that is converted, and what the libraries load.
    spare = len(data) + 24 * parts.PART_PIXELS
    assert int(done.stdout) <= max(seen) + spare, (name, done.stdout, seen)


def large_progressive():
    """Return a small progressive JPEG that claims 13,000 × 13,000 pixels."""
    return with_size(
        saved(photo("coffee"), "JPEG", progressive=True, subsampling=0), 13_000, 13_000
    )


def with_size(jpeg, width, height):
    """Return a JPEG whose frame header claims another size."""
    at = jpeg.index(b"\xff\xc2") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


@pytest.mark.parametrize("kernel", ["portable", "native"])
def test_a_progressive_jpeg_is_refused_by_both_kernels_before_it_is_decoded(kernel):
    data = large_progressive()
    with pytest.raises(DecodeError, match=r"decoding the image takes about 2\.2 GB, more than"):
        Codec(kernel=kernel).open(data)
    assert Codec(kernel=kernel, max_pixels=300_000_000).open(data).size == (13_000, 13_000)


def test_a_tile_larger_than_its_image_counts_in_full():
    image = opened("tiff", "RGB", compression="tiff_lzw")
    image.tag_v2[322], image.tag_v2[323] = 32_000, 32_000
    assert decode_bytes(image, "tiff", b"") == pytest.approx(4.1e9, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "mode", "size", "billions"),
    [
        ("png", "RGBA", (13_300, 13_300), 1.24),
        ("tiff", "F", (13_000, 13_000), 1.18),
        ("webp", "RGB", (9_000, 9_000), 1.86),
        ("jp2", "RGB", (7_000, 7_000), 1.81),
        ("png", "L", (1, 100_000_000), 1.5),
        ("bmp", "RGB", (100_000_000, 1), 0.9),
    ],
)
def test_the_estimate_depends_on_format_mode_and_shape(kind, mode, size, billions):
    image = opened(kind, mode)
    image._size = size
    assert decode_bytes(image, kind, b"") / 1e9 == pytest.approx(billions, rel=0.02)


def opened(kind, mode, **options):
    """Return a small image of a format, opened."""
    name = KINDS[kind][0]
    return Image.open(io.BytesIO(saved(Image.new(mode, (8, 8)), name, **options)))


def test_a_bound_below_the_least_is_the_least():
    data = saved(photo("coffee"), "WEBP")
    pixels = photo("coffee").width * photo("coffee").height
    assert Codec(max_pixels=pixels).decode(data).shape[2] == 3


@pytest.mark.parametrize("part", [997, 40_000])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I", "F", "I;16", "CMYK", "LAB"])
def test_parts_of_an_image_give_the_pixels_of_the_whole(monkeypatch, mode, part):
    image = odd(mode)
    whole = modes.pixels_from_image(image, (9, 99, 199), ProfileCache())
    monkeypatch.setattr(parts, "PART_PIXELS", part)
    assert np.array_equal(modes.pixels_from_image(image, (9, 99, 199), ProfileCache()), whole)


def odd(mode):
    """Return a photo in an unusual mode."""
    image = photo("chelsea")
    if mode in ("I", "F", "I;16"):
        numbers = np.asarray(image.convert("L"), np.float32) / (255 if mode == "F" else 0.01)
        kinds = {"I": np.int32, "F": np.float32, "I;16": np.uint16}
        return Image.fromarray(numbers.astype(kinds[mode]))
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    if mode == "LAB":
        transform = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        return ImageCms.applyTransform(image, transform)
    return image.convert(mode)


def test_a_frame_header_without_its_components_is_a_broken_image():
    broken = b"\xff\xd8\xff\xc2\x00\x08\x08\x00\x10\x00\x10\x03\xff\xda\x00\x03\x01\xff\xd9"
    with pytest.raises(DecodeError):
        Codec().decode(broken)
