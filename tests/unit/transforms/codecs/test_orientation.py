"""Orientation agrees with Pillow's exif_transpose, wherever a file stores it."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from wdsremux.transforms.codecs.codec import Codec

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r">'
    b'<rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def gradient():
    return Image.linear_gradient("L").resize((160, 80)).convert("RGB")


def segment(content):
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def tiff(value, code=3, form="<H"):
    entry = struct.pack("<HHI", 0x112, code, 1) + struct.pack(form, value).ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def exif(*arguments):
    return segment(b"Exif\0\0" + tiff(*arguments))


NO_TAG = segment(b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
XMP_SEGMENT = segment(b"http://ns.adobe.com/xap/1.0/\0" + XMP)


@pytest.mark.parametrize(
    "segments",
    [
        exif(6),
        exif(6, 4, "<I"),
        exif(6, 9, "<i"),
        exif(6, 8, "<h"),
        exif(6, 6, "<b"),
        exif(6) + exif(1),
        exif(1) + exif(6),
        exif(6) + segment(b"Exif\0\0" + b"\x80" * 400),
        segment(b"Exif\0\0Exif\0\0" + tiff(6)),
        XMP_SEGMENT,
        NO_TAG + XMP_SEGMENT,
        exif(1) + XMP_SEGMENT,
        exif(9) + XMP_SEGMENT,
        exif(3) + XMP_SEGMENT,
        XMP_SEGMENT + segment(b"http://ns.adobe.com/xap/1.0/\0<x/>"),
    ],
    ids=[
        "short", "long", "slong", "sshort", "sbyte", "6 then 1", "1 then 6", "continued",
        "prefix twice", "XMP only", "Exif without the tag and XMP", "Exif 1 and XMP",
        "Exif 9 and XMP", "Exif 3 and XMP", "XMP twice",
    ],
)  # fmt: skip
def test_a_jpeg_is_oriented_as_by_pillow(segments):
    file = io.BytesIO()
    gradient().save(file, "JPEG", quality=95)
    data = file.getvalue()[:2] + segments + file.getvalue()[2:]
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    found = Codec().decode(data)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("tags", [{274: 6}, {700: XMP}, {274: 1, 700: XMP}, {274: 3, 700: XMP}])
def test_a_tiff_is_oriented_as_by_pillow(tags):
    file = io.BytesIO()
    gradient().save(file, "TIFF", tiffinfo=tags)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue()))))
    stored = Codec().open(file.getvalue())
    assert stored.size == wanted.shape[1::-1]
    assert np.array_equal(Codec().decode(file.getvalue()), wanted)
