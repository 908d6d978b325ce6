import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from support.pictures import saved

from wdsremux.core.option_values import range_from_text, text_from_range
from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.codec import Codec


def deep(values, dtype, kind="TIFF"):
    return saved(Image.fromarray(np.array([values], dtype)), kind)


def gray(data, **options):
    return Codec(**options).decode(data)[0, :, 0].tolist()


def remarks(data, **options):
    stored = Codec(**options).open(data)
    stored.decode(1)
    return sorted(stored.remarks)


def colour_png(values):
    """Return a 16-bit RGB PNG of one row of gray values."""
    pixels = np.repeat(np.array([values], np.uint16)[..., None], 3, axis=2)
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.mark.parametrize(
    ("dtype", "kind", "values", "expected"),
    [
        (np.uint16, "PNG", [0, 257, 65535], [0, 1, 255]),
        (np.uint16, "TIFF", [0, 257, 65535], [0, 1, 255]),
        (np.int32, "TIFF", [0, 257, 65535], [0, 1, 255]),
        (np.float32, "TIFF", [0.0, 0.5, 1.0], [0, 128, 255]),
        (np.float32, "TIFF", [float("nan"), 0.5, float("inf")], [0, 128, 255]),
    ],
)
def test_every_image_of_a_kind_has_the_same_black_and_white(dtype, kind, values, expected):
    assert gray(deep(values, dtype, kind)) == expected


@pytest.mark.parametrize("others", [[0], [5000], [65535], [50]])
def test_the_other_values_of_an_image_do_not_change_how_a_value_is_scaled(others):
    assert gray(deep([50, *others], np.int32), depth_range=(0, 100))[0] == 128
    assert gray(deep([25700, *others], np.int32))[0] == 100


@pytest.mark.parametrize(
    ("dtype", "values", "shown"),
    [
        (np.int32, [0, 70000], "32-bit image with values 0:70000, outside of 0:65535"),
        (np.int32, [-5, 9], "32-bit image with values -5:9, outside of 0:65535"),
        (np.float32, [0.0, 255.0], "float image with values 0:255, outside of 0:1"),
        (np.float32, [-0.5, 1.0], r"float image with values -0\.5:1, outside of 0:1"),
    ],
)
def test_values_outside_of_the_range_are_refused_with_the_option(dtype, values, shown):
    data = deep(values, dtype)
    with pytest.raises(DecodeError, match=f"{shown}.*--depth-range"):
        Codec().decode(data)
    assert gray(data, depth_range=(values[0], values[1])) == [0, 255]


def test_the_range_of_the_option_clips():
    assert gray(deep([0, 50, 100, 70000], np.int32), depth_range=(50, 100)) == [0, 0, 255, 255]


def test_a_tiff_of_12_bits_has_a_white_of_12_bits():
    image = Image.fromarray(np.array([[0, 4095]], np.uint16))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    data = bytearray(saved(image, "TIFF", tiffinfo=tags))
    pixels = data.index(b"\x00\x00\xff\x0f")
    data[pixels : pixels + 3] = b"\x00\x0f\xff"  # two values of 12 bits
    bits = data.index(b"\x02\x01\x03\x00\x01\x00\x00\x00\x10")
    data[bits + 8] = 12
    assert gray(bytes(data)) == [0, 255]


def test_12_bit_data_in_16_bits_is_reported_and_has_an_option():
    for data in (deep([0, 4095], np.uint16, "PNG"), colour_png([0, 4095])):
        assert gray(data)[1] <= 16
        (remark,) = remarks(data)
        assert "nearly black" in remark
        assert "--depth-range 0:4095" in remark
        assert gray(data, depth_range=(0, 4095)) == [0, 255]


def test_a_bright_image_of_16_bits_is_reported_with_its_range_only():
    (remark,) = remarks(deep([0, 65535], np.uint16, "PNG"))
    assert "0 is black, 65535 is white" in remark
    assert remarks(colour_png([0, 65535])) == []


def test_images_of_8_bits_are_left_alone():
    image = Image.fromarray(np.array([[0, 9, 20]], np.uint8))
    assert gray(saved(image, "PNG"), depth_range=(0, 10)) == [0, 9, 20]
    assert remarks(saved(image, "PNG")) == []


def test_opacity_of_a_16_bit_colour_image_is_kept():
    pixels = np.full((1, 2, 4), 4095, np.uint16)
    pixels[0, 1, 3] = 0
    pixels[0, 0, 3] = 65535
    data = cv2.imencode(".png", pixels)[1].tobytes()
    decoded = Codec(depth_range=(0, 8190), matte=(1, 2, 3)).decode(data)
    assert decoded.tolist() == [[[128] * 3, [1, 2, 3]]]


def test_a_range_is_two_numbers_in_order():
    assert range_from_text("0:4095") == (0.0, 4095.0)
    assert text_from_range(range_from_text("-0.5:1e3")) == "-0.5:1000"
    for wrong in ("4095", "5:5", "9:1", "a:b", "0:inf", "1:2:3", 7):
        with pytest.raises(ValueError, match=r"black and white|lower"):
            range_from_text(wrong)
