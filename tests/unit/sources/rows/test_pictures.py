import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wdsremux.sources.rows.pictures import (
    DecodedImage,
    UnreadableImage,
    columns_of_rows,
    detached,
    is_file_dict,
    is_pixel_array,
)

PNG = b"\x89PNG\r\n\x1a\n more"


def pixels(mode, size=(5, 4)):
    values = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(values[..., 0].astype(np.float32) / 3)
    return Image.fromarray(values, "RGBA").convert(mode) if mode != "LAB" else lab(values)


def lab(values):
    return Image.merge("LAB", [Image.fromarray(values[..., i]) for i in range(3)])


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "F", "CMYK", "YCbCr", "LAB"]
)
def test_pixels_are_returned_unchanged(mode):
    image = pixels(mode)
    with Image.open(io.BytesIO(DecodedImage(image).encode())) as back:
        assert back.mode == mode
        assert np.array_equal(np.asarray(back), np.asarray(image))


def test_a_mode_no_file_has_is_converted():
    with Image.open(io.BytesIO(DecodedImage(pixels("HSV")).encode())) as back:
        assert back.mode == "RGB"


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
def test_an_array_of_uint8_is_an_image(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert is_pixel_array(array)
    with Image.open(io.BytesIO(DecodedImage(array).encode())) as back:
        assert np.array_equal(np.asarray(back), array.squeeze())


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 5, 3)),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros(5, np.uint8),
        [[1]],
    ],
)
def test_other_arrays_are_not_images(value):
    assert not is_pixel_array(value)


def test_the_orientation_tag_is_kept_with_the_pixels():
    image = pixels("RGB")
    image.getexif()[0x0112] = 6
    image = pickle.loads(pickle.dumps(detached(image)))
    with Image.open(io.BytesIO(image.encode())) as back:
        assert back.getexif()[0x0112] == 6


def test_settled_pixels_are_a_copy(tmp_path):
    array = np.zeros((2, 2, 3), np.uint8)
    held = detached(array)
    array += 9
    assert not held.image.any()

    pixels("RGB").save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as lazy:
        held = detached(lazy)
    assert np.array_equal(np.asarray(held.image), np.asarray(pixels("RGB")))


def test_a_lazy_image_that_cannot_be_decoded_is_broken():
    file = io.BytesIO()
    pixels("RGB", (300, 300)).save(file, "PNG")
    half = Image.open(io.BytesIO(file.getvalue()[:2000]))
    assert isinstance(detached(half), UnreadableImage)


def test_the_size_of_pixels_is_their_bytes():
    assert DecodedImage(pixels("RGBA")).size_bytes == 80
    assert DecodedImage(np.zeros((4, 5, 3), np.uint8)).size_bytes == 60


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"bytes": b"", "path": "a"}, True),
        ({"path": None}, True),
        ({}, False),
        ({"bytes": b"", "name": "a"}, False),
        ("x", False),
    ],
)
def test_an_undecoded_image_of_datasets_is_known_by_its_keys(value, answer):
    assert is_file_dict(value) is answer


@pytest.mark.parametrize(
    "value",
    [
        PNG,
        bytearray(PNG),
        DecodedImage(np.zeros((2, 2, 3), np.uint8)),
        UnreadableImage("x"),
        {"bytes": None, "path": "x"},
        Path("a/b.JPG"),
    ],
)
def test_a_column_of_images_is_found_by_its_values(value):
    rows = [{"x": None, "n": 1}, {"x": value, "n": 2}]
    columns = columns_of_rows(rows, lambda _: False)
    assert [(c.name, c.dtype) for c in columns] == [("x", "image"), ("n", "int64")]


def test_strings_are_image_paths_only_if_no_other_column_is_an_image():
    rows = [{"file": "a.png", "caption": "ends in a.png"}, {"file": None, "caption": "x"}]

    def dtypes(rows, file_exists):
        return [c.dtype for c in columns_of_rows(rows, file_exists)]

    assert dtypes(rows, lambda _: True) == ["image", "string"]
    assert dtypes(rows, lambda _: False) == ["string", "string"]
    assert dtypes([{**rows[0], "x": PNG}], lambda _: True) == ["string", "string", "image"]
