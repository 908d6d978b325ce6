"""PNG chunks that are not pixels never cost the pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.codecs.png_chunks import png_without_harmful_chunks

PIXELS = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
LARGE = b"a" * (2 << 20)


def png(**options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", **options)
    return file.getvalue()


def chunk(name, content, damage=0):
    checksum = zlib.crc32(name + content) ^ damage
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def with_chunk(added, *, at_end):
    data = png()
    at = data.index(b"IEND") - 4 if at_end else data.index(b"IDAT") - 4
    return data[:at] + added + data[at:]


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(
    "added",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LARGE)),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LARGE)),
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(LARGE)),
        chunk(b"tEXt", b"Comment\0" + LARGE) * 40,
        chunk(b"tEXt", b"Comment\0text", damage=1),
    ],
    ids=["zTXt", "iTXt", "iCCP", "much text", "damaged checksum"],
)
def test_a_chunk_that_pillow_refuses_does_not_reject_the_image(added, at_end):
    assert np.array_equal(Codec().decode(with_chunk(added, at_end=at_end)), PIXELS)


def test_a_damaged_checksum_of_pixels_still_rejects_the_image():
    data = bytearray(png())
    data[data.index(b"IDAT") + 8] ^= 1
    with pytest.raises(Exception, match="broken PNG"):
        Codec().decode(bytes(data))


def test_a_file_without_such_chunks_is_not_copied():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "short", zip=True)
    info.add_itxt("XML:com.adobe.xmp", "x" * 5000)
    data = png(pnginfo=info)
    assert png_without_harmful_chunks(data) is data


def test_a_file_that_ends_within_a_chunk_is_unchanged():
    data = png()[:60]
    assert png_without_harmful_chunks(data) is data
