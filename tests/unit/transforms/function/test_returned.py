"""What a user's function may return as an image."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from wdsremux.transforms.codecs.profiles import ProfileCache
from wdsremux.transforms.function.returned import (
    ALLOWED,
    UnusableImageError,
    WrongReturnError,
    image_from_returned,
)

WHITE = (255, 255, 255)
RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


class Tensor:
    """A fake tensor of PyTorch."""

    def __init__(self, array, dtype="uint8"):
        self.array = array
        self.dtype = dtype

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.array


@pytest.fixture
def _torch(monkeypatch):
    module = types.ModuleType("torch")
    module.Tensor, module.uint8 = Tensor, "uint8"
    monkeypatch.setitem(sys.modules, "torch", module)


def returned(value):
    return image_from_returned(value, WHITE, ProfileCache())


def pil(mode, size=(3, 2)):
    return Image.new(mode, size)


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBX",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "I;16",
    ],
)
def test_pil_images_of_any_mode_become_rgb(mode):
    pixels = returned(pil(mode))
    assert (pixels.shape, pixels.dtype) == ((2, 3, 3), np.uint8)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_encoded_bytes_are_unchanged(kind):
    assert returned(kind(b"\xff\xd8")) == b"\xff\xd8"


def test_gray_arrays_become_rgb():
    gray = RGB[:, :, 0]
    for array in (gray, gray[:, :, None]):
        assert (returned(array) == gray[:, :, None]).all()
        assert returned(array).shape == (2, 3, 3)


def test_an_array_with_opacity_is_put_on_the_matte():
    array = np.dstack([RGB, np.array([[0, 255, 255], [255, 255, 0]], np.uint8)])
    pixels = returned(array)
    assert pixels[0, 0].tolist() == pixels[1, 2].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == RGB[0, 1].tolist()


def test_a_view_becomes_contiguous():
    pixels = returned(RGB[:, ::-1])
    assert pixels.flags.c_contiguous
    assert (pixels == RGB[:, ::-1]).all()


@pytest.mark.usefixtures("_torch")
def test_tensors_are_channels_first():
    assert (returned(Tensor(RGB.transpose(2, 0, 1))) == RGB).all()
    assert (returned(Tensor(RGB[None, :, :, 0])) == RGB[:, :, :1]).all()
    assert (returned(Tensor(RGB[:, :, 0])) == RGB[:, :, :1]).all()


@pytest.mark.usefixtures("_torch")
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_a_refused_shape_is_reported_with_the_accepted_ones(channels):
    array = np.zeros((2, 5, *channels), np.uint8)
    assert returned(array).shape == (2, 5, 3)
    assert returned(Tensor(array.transpose(2, 0, 1) if channels else array)).shape == (2, 5, 3)
    names = {(): "H×W ", (1,): "H×W×1", (3,): "H×W×3", (4,): "H×W×4"}
    assert names[channels] in ALLOWED
    assert all(str(c) in ALLOWED.partition("C = ")[2].partition(")")[0] for c in channels)


@pytest.mark.usefixtures("_torch")
def test_other_tensors_are_refused():
    with pytest.raises(WrongReturnError, match=r"a tensor of float32; scale to 0..255 and"):
        returned(Tensor(RGB, "float32"))
    with pytest.raises(WrongReturnError, match=r"a tensor of shape 2×3×3; return a PIL image"):
        returned(Tensor(RGB))


@pytest.mark.parametrize(
    "value",
    [3, "a.jpg", [[0]], {"bytes": b""}, object(), np.zeros((2, 2, 3), bool), np.zeros(3, np.uint8)],
)
def test_anything_else_is_refused(value):
    with pytest.raises(WrongReturnError):
        returned(value)


@pytest.mark.parametrize("value", [b"", pil("RGB", (0, 5)), RGB[:0], RGB[:, :0]])
def test_an_empty_image_is_one_record_s_fault(value):
    with pytest.raises(UnusableImageError, match="empty"):
        returned(value)


def test_a_file_that_breaks_when_it_is_decoded_is_one_record_s_fault(tmp_path):
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with Image.open(path) as image, pytest.raises(UnusableImageError, match="cannot be used"):
        returned(image)
