"""Our decoding ignores the global switches of libraries that a user's code may set."""

import io
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile
from support.corpora import jpeg

from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.codecs.pillow_formats import orientation_from_metadata
from wdsremux.transforms.codecs.strictness import strict_pillow


@pytest.fixture(autouse=True)
def _lenient(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP", "WEBP"])
def test_a_cut_image_is_rejected_although_the_user_s_code_wants_it_loaded(kind):
    file = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(file, kind)
    with pytest.raises(DecodeError):
        Codec().decode(file.getvalue()[: len(file.getvalue()) // 2])
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_the_user_s_switch_is_restored_after_the_last_of_several_decodes():
    def decode(_number):
        with strict_pillow():
            return ImageFile.LOAD_TRUNCATED_IMAGES

    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(decode, range(200)))
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_the_user_s_block_size_changes_no_byte_of_a_png(monkeypatch):
    noise = np.random.default_rng(1).integers(0, 255, (80, 20, 3), np.uint8)
    expected = Codec(format="png").encode(noise)
    monkeypatch.setattr(ImageFile, "MAXBLOCK", 64)
    assert Codec(format="png").encode(noise) == expected
    assert ImageFile.MAXBLOCK == 64


def test_warnings_as_errors_change_no_orientation():
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entry + b"\x0f"  # the second entry is cut
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.warns(UserWarning, match="Corrupt EXIF data"):
            Image.Exif().load(exif)
        warnings.simplefilter("error")
        assert orientation_from_metadata(exif, b"") == 6
        before = warnings.filters
        Codec().decode(jpeg(1))
        assert warnings.filters is before
