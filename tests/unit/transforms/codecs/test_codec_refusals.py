"""Images that a codec refuses with a reason: truncated, damaged, of other kinds, too large."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from support.pictures import KINDS, photo, photos, saved, scene, stored

from wdsremux.transforms.codecs.codec import Codec, DecodeError, EncodeError, sniff, stored_size

decode = Codec().decode


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"RIFF0000WAVE", b"<html>", b"%PDF-1.4", b"\0" * 40]
)
def test_other_bytes_have_no_format(data):
    assert sniff(data) is None


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp", "tiff", "jp2", "avif"])
def test_truncated_images_are_refused(kind, share):
    data = stored(kind, photo("chelsea"))
    with pytest.raises(DecodeError):
        decode(data[: int(len(data) * share)])


def test_a_truncated_jpeg_is_reported_as_truncated():
    data = photos()[0]
    with pytest.raises(DecodeError, match="truncated JPEG"):
        decode(data[: len(data) // 2])


def test_a_truncated_jpeg_with_stray_bytes_is_refused_too():
    data = photos()[0]
    strayed = data[:2] + b"\xff\xfe\x00\x04ab" + b"\xaa\xaa" + data[2:]
    assert decode(strayed).shape == (512, 512, 3)
    with pytest.raises(DecodeError, match="truncated"):
        decode(strayed[: len(strayed) // 2])


def test_a_truncated_cmyk_jpeg_is_refused():
    data = saved(photo("coffee").convert("CMYK"), "JPEG")
    with pytest.raises(DecodeError, match="truncated"):
        decode(data[: len(data) * 99 // 100])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            b"<!DOCTYPE html><html>",
            "not an image in a supported format .* it begins with '<!DOCTYPE ht...'",
        ),
        (b"", "not an image in a supported format .* is empty"),
        (b"\xff\xd8\xff\xe0", "truncated JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF89a" + b"\xff" * 20, "GIF"),
        (b"BM" + b"\xff" * 60, "BMP"),
        (b"II*\0\x08\0\0\0" + b"\xff" * 60, "TIFF"),
        (b"RIFF\xff\0\0\0WEBPVP8 " + b"\xff" * 60, "WebP"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\xff" * 60, "JPEG 2000"),
        (b"\0\0\0\x18ftypavif" + b"\xff" * 60, "AVIF"),
    ],
)
def test_bytes_that_are_not_an_image_are_refused_with_a_reason(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode(data)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes_give_an_image_or_a_reason(kind):
    data = stored(kind, scene(61, 35))
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(len(data), size=3):
            damaged[place] = rng.integers(256)
        with suppress(DecodeError):
            assert Codec(max_pixels=10**6).decode(bytes(damaged)).ndim == 3


def jpeg_bomb():
    data = saved(scene(16, 16), "JPEG")
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", 20000, 10000) + data[place + 4 :]


def png_bomb():
    data = saved(scene(16, 16), "PNG")
    header = b"IHDR" + struct.pack(">II", 10000, 20000) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize("data", [jpeg_bomb(), png_bomb()], ids=["jpeg", "png"])
def test_a_decompression_bomb_is_refused_by_its_header(data):
    with pytest.raises(
        DecodeError, match=r"image has 200000000 pixels .* more than --max-pixels 178000000"
    ):
        decode(data)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pixel_limit_holds_for_every_kind(kind):
    data = stored(kind, scene(61, 35))
    with pytest.raises(DecodeError, match="image has 2135 pixels"):
        Codec(max_pixels=61 * 35 - 1).decode(data)
    assert Codec(max_pixels=61 * 35).decode(data).shape == (35, 61, 3)


def test_more_pixels_than_pillow_warns_of_are_read_without_a_warning():
    image = Image.new("1", (10_000, 9_000))
    assert stored_size(saved(image, "PNG")) == (10_000, 9_000)
    assert Codec().open(saved(image, "PNG")).size == (10_000, 9_000)


def test_a_complete_jpeg_passes_and_a_truncated_or_large_one_does_not():
    data = photos()[0]
    Codec().check_stored(data, "structure")
    with pytest.raises(DecodeError, match="truncated"):
        Codec().check_stored(data[:-100], "structure")
    with pytest.raises(DecodeError, match="--max-pixels"):
        Codec(max_pixels=1000).check_stored(data, "structure")


@pytest.mark.parametrize(("format_", "side"), [("jpeg", 65_501), ("webp", 16_384)])
def test_an_image_too_large_for_a_format_is_refused_with_its_bound(format_, side):
    with pytest.raises(EncodeError, match=rf"{side} x 1 pixels; .* 1 to {side - 1} "):
        Codec(format_).encode(np.zeros((1, side, 3), np.uint8))


def test_an_image_without_pixels_is_refused():
    with pytest.raises(EncodeError, match="0 x 5"):
        Codec().encode(np.zeros((5, 0, 3), np.uint8))
