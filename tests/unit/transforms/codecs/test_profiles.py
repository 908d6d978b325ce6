import pickle

import numpy as np
import pytest
from PIL import ImageCms
from support.pictures import icc_profile, noise, worst

from wdsremux.transforms.codecs.profiles import ProfileCache, apply_to_rgb

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_a_profile_is_applied():
    transform = ProfileCache().transform(icc_profile("RGB ", 1.0), "RGB")
    pixels = np.full((2, 2, 3), 128, np.uint8)
    assert worst(apply_to_rgb(transform, pixels), np.full((2, 2, 3), 188)) <= 1


def test_srgb_itself_needs_no_transform():
    assert ProfileCache().transform(SRGB, "RGB") is None


def test_a_profile_close_to_srgb_is_still_applied():
    assert ProfileCache().transform(icc_profile("RGB ", 2.2), "RGB") is not None


@pytest.mark.parametrize(
    ("profile", "mode"),
    [
        (b"", "RGB"),
        (b"nonsense", "RGB"),
        (SRGB[:200], "RGB"),
        (SRGB, "L"),
        (SRGB, "CMYK"),
        (icc_profile("GRAY", 1.0), "RGB"),
    ],
)
def test_a_profile_that_does_not_fit_needs_no_transform(profile, mode):
    assert ProfileCache().transform(profile, mode) is None


def test_a_transform_is_made_once_while_it_is_remembered():
    cache = ProfileCache(max_profiles=2)
    first, second, third = (icc_profile("RGB ", gamma) for gamma in (1.0, 1.5, 3.0))
    made = cache.transform(first, "RGB")
    cache.transform(second, "RGB")
    assert cache.transform(first, "RGB") is made
    newest = cache.transform(third, "RGB")
    assert cache.transform(first, "RGB") is made
    assert cache.transform(third, "RGB") is newest
    assert len(cache._transforms) == 2


def test_a_cache_is_pickled_empty():
    cache = ProfileCache(max_profiles=3)
    cache.transform(icc_profile("RGB ", 1.0), "RGB")
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy._max_profiles, len(copy._transforms)) == (3, 0)


def test_converted_pixels_may_be_written_to():
    transform = ProfileCache().transform(icc_profile("RGB ", 1.0), "RGB")
    assert apply_to_rgb(transform, noise(4, 4)).flags.writeable
