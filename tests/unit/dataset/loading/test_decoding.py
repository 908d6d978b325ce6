"""Decoding one sample: pixels as Pillow has them, fields without decoding the image."""

import io

import numpy as np
import pytest
from PIL import Image
from support.corpora import jpeg
from support.verified import member, sample

from wdsremux.core.errors import CorruptDataError
from wdsremux.dataset.loading.decoding import SampleDecoder, rgb, rgb_into


def encoded(mode, form="JPEG", **arguments):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, form, **arguments)
    return file.getvalue()


def by_pillow(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(
    "content",
    [
        encoded("RGB"),
        encoded("RGB", progressive=True, subsampling=0),
        encoded("L"),
        encoded("CMYK"),
        encoded("RGB", "PNG"),
        encoded("P", "PNG"),
        encoded("RGBA", "WEBP", lossless=True),
        encoded("RGB") + b"trailing bytes",
    ],
    ids=["jpeg", "progressive", "gray", "cmyk", "png", "palette", "webp", "trailing"],
)
def test_pixels_are_those_that_pillow_decodes(content):
    assert np.array_equal(rgb(content, "k"), by_pillow(content))


def test_a_jpeg_is_decoded_in_place_only_where_it_fits():
    content = encoded("RGB")
    buffer = np.zeros((30, 40, 3), dtype=np.uint8)
    assert rgb_into(content, buffer)
    assert np.array_equal(buffer, by_pillow(content))
    for other in (encoded("CMYK"), encoded("RGB", "PNG"), jpeg(1, 20, 20), content[:300]):
        assert not rgb_into(other, buffer)


def test_members_with_odd_headers_are_read_by_all_rules():
    plain = b"".join(sample("folder/key", label=4))
    pax = member("folder/key.jpg", jpeg(4, 16, 16), pax=True) + member(
        "folder/key.json", b'{"label": 4}', pax=True
    )
    for data in (plain, pax):
        found = SampleDecoder("rgb", ("key", "label", "image"))(data)
        assert found[:2] == ("folder/key", 4)
        assert found[2].shape == (16, 16, 3)


def test_a_member_is_a_column_by_its_extension():
    data = b"".join(sample("k", **{"seg.png": b"mask", "cls": b"3"}))
    assert SampleDecoder("rgb", ("seg.png", "cls", "label"))(data) == (b"mask", 3, 1)


def test_a_damaged_image_is_named():
    data = b"".join(sample("k", jpg=b"\xff\xd8broken"))
    for decode in ("pil", "rgb"):
        with pytest.raises(CorruptDataError, match="the image of sample 'k' cannot be decoded"):
            SampleDecoder(decode)(data)
