"""Images of every kind, mode and profile are decoded, and encoded, as Pillow does it."""

import dataclasses
import io
import pickle
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin
from support.pictures import (
    KINDS,
    icc_profile,
    noise,
    opened,
    photo,
    psnr,
    saved,
    scene,
    stored,
    worst,
)

from wdsremux.transforms.codecs.codec import Codec, sniff, stored_size

decode = Codec().decode


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_recognised_by_its_first_bytes(kind):
    assert sniff(stored(kind, scene(20, 10))) == kind


def test_a_big_tiff_and_a_bare_jpeg_2000_stream_are_known():
    assert sniff(saved(scene(9, 9), "TIFF", big_tiff=True)) == "tiff"
    assert sniff(saved(scene(9, 9), "JPEG2000", no_jp2=True)) == "jp2"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_decoded_as_pillow_does(kind):
    data = stored(kind, scene(61, 35))
    pixels = decode(data)
    assert pixels.shape == (35, 61, 3)
    assert pixels.dtype == np.uint8
    assert worst(pixels, opened(data)) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_stored_size_is_read_from_the_header(kind):
    assert stored_size(stored(kind, scene(61, 35))) == (61, 35)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
def test_the_exif_orientation_is_applied_exactly_once(kind, orientation):
    name, options = KINDS[kind]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(scene(61, 34), name, exif=exif, **options)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert worst(decode(data), upright) <= 1


def test_an_exif_block_after_the_pixels_of_a_png_is_found():
    data = saved(scene(61, 34), "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes()[6:]
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + body))
    assert decode(data[:-12] + chunk + data[-12:]).shape == (61, 34, 3)


def test_a_broken_exif_block_of_a_png_does_not_reject_the_image():
    data = saved(scene(61, 34), "PNG", exif=b"Exif\0\0nonsense")
    assert decode(data).shape == (34, 61, 3)


def test_the_orientation_tag_is_dropped_from_what_is_written():
    exif = Image.Exif()
    exif[0x0112] = 6
    codec = Codec()
    again = codec.encode(codec.decode(saved(scene(61, 34), "JPEG", exif=exif)))
    assert not Image.open(io.BytesIO(again)).getexif()


def test_a_cmyk_jpeg_is_read_as_pillow_does():
    data = saved(scene(61, 35).convert("CMYK"), "JPEG", quality=95)
    assert worst(decode(data), opened(data)) == 0


def test_an_inverted_ycck_jpeg_is_read_in_its_true_colours():
    # As Photoshop writes it: four components, of which the first three are YCbCr, with an Adobe marker
    # that says so, and all inverted. Gray has no colour difference, so planes of gray will do.
    image = Image.new("CMYK", (32, 32), (255, 128, 128, 255))
    data = saved(image, "JPEG", quality=100)
    place = data.index(b"Adobe") + 11
    data = data[:place] + b"\x02" + data[place + 1 :]
    assert worst(decode(data), opened(data)) == 0
    # Pillow stores CMYK inverted: Y = 0 and K = 0 (inverted: black ink everywhere).
    assert decode(data).max() == 0


def test_a_gray_jpeg_becomes_rgb():
    pixels = decode(saved(scene(61, 35).convert("L"), "JPEG"))
    assert pixels.shape == (35, 61, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_a_palette_is_resolved():
    image = scene(61, 35).quantize(64)
    assert worst(decode(saved(image, "PNG")), image.convert("RGB")) == 0


def test_transparency_of_a_palette_is_matted():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    data = saved(image, "PNG", transparency=bytes([0, 255]))
    assert Codec(matte=(1, 2, 3)).decode(data).tolist() == [[[1, 2, 3], [40, 50, 60]]]


def test_transparency_of_a_gif_is_matted():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    data = saved(image, "GIF", transparency=0)
    assert Codec(matte=(1, 2, 3)).decode(data).tolist() == [[[1, 2, 3], [40, 50, 60]]]


def test_hidden_colours_of_an_alpha_channel_do_not_show():
    image = Image.fromarray(
        np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [255, 0, 0, 51]]], np.uint8)
    )
    assert decode(saved(image, "PNG")).tolist() == [[[255, 255, 255], [255, 0, 0], [255, 204, 204]]]


def test_gray_with_alpha_is_matted():
    image = Image.fromarray(np.array([[[100, 0], [100, 255]]], np.uint8))
    assert Codec(matte=(9, 8, 7)).decode(saved(image, "PNG")).tolist() == [[[9, 8, 7], [100] * 3]]


def test_a_colour_that_is_declared_transparent_is_matted():
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    data = saved(image, "PNG", transparency=(1, 2, 3))
    assert decode(data).tolist() == [[[255] * 3, [4, 5, 6]]]


def test_sixteen_bit_gray_is_scaled_and_not_clipped():
    values = np.array([[0, 256, 32768, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        assert decode(saved(Image.fromarray(values), kind))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_a_transparent_value_of_sixteen_bit_gray_is_matted():
    data = saved(Image.fromarray(np.array([[300, 40000]], np.uint16)), "PNG")
    chunk = struct.pack(">I", 2) + b"tRNS" + struct.pack(">H", 300)
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    place = data.index(b"IDAT") - 4
    assert decode(data[:place] + chunk + data[place:])[0, :, 0].tolist() == [255, 156]


def test_sixteen_bit_rgb_is_scaled_and_not_clipped():
    values = np.array([0, 256, 32768, 65535, 1, 2], ">u2")
    raw = zlib.compress(b"\0" + values.tobytes())
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)),
        (b"IDAT", raw),
        (b"IEND", b""),
    ):
        data += struct.pack(">I", len(body)) + name + body
        data += struct.pack(">I", zlib.crc32(name + body))
    assert decode(data).tolist() == [[[0, 1, 128], [255, 0, 0]]]


def test_one_bit_images_are_black_and_white():
    image = Image.fromarray(np.array([[True, False]]))
    assert decode(saved(image, "PNG")).tolist() == [[[255] * 3, [0] * 3]]
    assert decode(saved(image, "TIFF")).tolist() == [[[255] * 3, [0] * 3]]


def test_lab_is_converted():
    lab = Image.new("LAB", (2, 1), (138, 209, 198))  # L* 54, a* 81, b* 70 (D50): pure red
    assert worst(decode(saved(lab, "TIFF"))[0, 0], [255, 0, 0]) <= 6


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_of_an_animation_is_used(kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert worst(decode(data), Image.new("RGB", (16, 16), "red")) <= 2


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
def test_an_embedded_profile_is_converted_to_srgb(kind):
    name, options = KINDS[kind]
    gray = Image.new("RGB", (16, 16), (128, 128, 128))
    data = saved(gray, name, icc_profile=icc_profile("RGB ", 1.0), **options)
    assert worst(decode(data), Image.new("RGB", (16, 16), (188, 188, 188))) <= 2


def test_a_gray_profile_is_applied_to_gray():
    for kind in ("JPEG", "PNG"):
        data = saved(Image.new("L", (16, 16), 128), kind, icc_profile=icc_profile("GRAY", 1.0))
        assert worst(decode(data), Image.new("RGB", (16, 16), (188, 188, 188))) <= 1


def test_colours_in_front_of_the_matte_are_converted_and_the_matte_is_not():
    image = Image.fromarray(np.array([[[128, 128, 128, 255], [0, 0, 0, 0]]], np.uint8))
    data = saved(image, "PNG", icc_profile=icc_profile("RGB ", 1.0))
    assert worst(Codec(matte=(128, 128, 128)).decode(data), [[[188] * 3, [128] * 3]]) <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("profile", [b"nonsense" * 50, icc_profile("GRAY", 1.0)])
def test_a_profile_that_is_broken_or_of_another_kind_changes_nothing(kind, profile):
    plain = saved(scene(20, 20), kind)
    assert (decode(saved(scene(20, 20), kind, icc_profile=profile)) == decode(plain)).all()


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_jpeg_is_written_close_to_the_pixels(subsampling):
    pixels = np.asarray(photo("coffee"))
    codec = Codec(quality=95, subsampling=subsampling)
    assert psnr(opened(codec.encode(pixels)), pixels) > 33
    assert sniff(codec.encode(pixels)) == "jpeg"


def test_a_fourth_channel_changes_nothing_that_is_written():
    pixels = noise(40, 30, 4)
    for codec in (Codec(), Codec("png"), Codec("webp")):
        assert codec.encode(pixels) == codec.encode(np.ascontiguousarray(pixels[..., :3]))


def test_png_keeps_every_pixel():
    pixels = noise(40, 30)
    assert (decode(Codec("png").encode(pixels)) == pixels).all()


def test_webp_is_lossy_by_its_quality():
    pixels = np.asarray(photo("coffee"))
    low, high = (Codec("webp", quality=quality).encode(pixels) for quality in (30, 90))
    assert sniff(low) == "webp"
    assert len(low) < len(high) / 2


def test_views_of_larger_arrays_are_written_correctly():
    pixels = noise(40, 30)
    assert Codec().encode(pixels[5:20, 3:30]) == Codec().encode(pixels[5:20, 3:30].copy())


def test_names_of_packed_images_have_the_extension_of_the_format():
    extensions = [Codec(name).extension for name in ("jpeg", "png", "webp")]
    assert extensions == ["jpg", "png", "webp"]


def test_a_codec_is_pickled_and_compared_by_its_options():
    codec = Codec("webp", quality=80)
    codec.decode(saved(scene(9, 9), "PNG", icc_profile=icc_profile("RGB ", 1.0)))
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert dataclasses.replace(codec, quality=70) != codec


def test_threads_share_a_codec():
    data = [
        saved(scene(64, 64), "PNG", icc_profile=icc_profile("RGB ", 1 + i % 5 / 4))
        for i in range(40)
    ]
    codec = Codec()
    expected = [Codec().decode(each).tobytes() for each in data]
    with ThreadPoolExecutor(4) as pool:
        found = [pixels.tobytes() for pixels in pool.map(codec.decode, data)]
    assert found == expected


def test_no_global_setting_of_pillow_is_changed():
    before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
    decode(saved(scene(9, 9), "PNG"))
    assert before == (Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK)
    assert sys.modules["PIL.ImageFile"].LOAD_TRUNCATED_IMAGES is False
