"""Pillow's bound of pixels, which a function may set, rejects no image: --max-pixels is the bound."""

import numpy as np
import pytest
from PIL import Image
from support.pictures import KINDS, photo, stored

from wdsremux.transforms.codecs.codec import Codec


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_of_pillow_rejects_no_image_and_is_kept(kind, monkeypatch):
    data = stored(
        kind, photo("coffee").resize((90, 60)).convert("RGBA" if kind == "webp" else "RGB")
    )
    before = Codec().decode(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert np.array_equal(Codec().decode(data), before)
    assert Image.MAX_IMAGE_PIXELS == 10
