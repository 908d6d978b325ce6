"""Which file names are images, held against what can be read."""

from PIL import Image

from wdsremux.core.image_formats import IMAGE_EXTENSIONS, READ_EXTENSIONS
from wdsremux.transforms.codecs.pillow_formats import _READERS as READERS


def test_the_readable_extensions_match_the_readable_formats():
    Image.init()
    formats = {reader().format for reader in READERS.values()}
    known = {name[1:] for name, kind in Image.registered_extensions().items() if kind in formats}
    assert known == READ_EXTENSIONS
    assert READ_EXTENSIONS < IMAGE_EXTENSIONS
