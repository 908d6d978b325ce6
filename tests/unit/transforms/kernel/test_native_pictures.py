"""Pictures that the native kernel makes, next to those of the portable one."""

import io

import numpy as np
import pytest
from PIL import Image
from support.pictures import icc_profile, noise, opened, photo, photos, psnr, saved, scene

from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.steps.picture import SourceImage

PHOTO = photos()[3]


def picture_of(data, kernel="native", **options):
    return SourceImage(data, Codec(kernel=kernel, **options)).picture()


def prepared(picture):
    """Crop, resize, mirror and sharpen a picture."""
    width, height = picture.size
    picture.crop(width // 8, height // 9, width // 2, height // 2)
    picture.resize(96, 80)
    picture.flip_horizontal()
    picture.sharpen()
    return picture


def encoded(pixels):
    return opened(Codec().encode(pixels))


@pytest.mark.parametrize("subsampling", ["420", "444"])
def test_a_jpeg_is_made_without_rgb_pixels(subsampling):
    native = prepared(picture_of(PHOTO)).jpeg(subsampling, 90)
    portable = Codec(subsampling=subsampling).encode(prepared(picture_of(PHOTO, "portable")).raw())
    assert psnr(opened(native), opened(portable)) >= 34
    layers = [Image.open(io.BytesIO(data)).layer for data in (native, portable)]
    assert layers[0] == layers[1]
    tables = [Image.open(io.BytesIO(data)).quantization for data in (native, portable)]
    assert tables[0] == tables[1]


def test_pixels_are_those_of_the_portable_kernel_but_for_rounding():
    native, portable = (prepared(picture_of(PHOTO, k)).pixels() for k in ("native", "portable"))
    assert native.shape == portable.shape == (80, 96, 3)
    assert native.flags.writeable
    assert psnr(native, portable) >= 38


def test_pixels_that_are_not_resampled_are_exact_copies():
    native, portable = (picture_of(PHOTO, kernel) for kernel in ("native", "portable"))
    for picture in (native, portable):
        picture.crop(31, 17, 64, 48)
        picture.flip_vertical()
    assert (native.pixels() == portable.pixels()).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_orientation_says(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(photo("coffee").crop((0, 0, 200, 120)), "JPEG", exif=exif, quality=95)
    made = []
    for kernel in ("native", "portable"):
        picture = picture_of(data, kernel)
        width, height = picture.size
        picture.resize(width // 2, height // 2)
        picture.sharpen()
        made.append(picture.jpeg("420", 90) or Codec().encode(picture.raw()))
    assert psnr(*map(opened, made)) >= 33


def test_colours_of_a_profile_are_converted_to_srgb():
    profile = icc_profile("RGB ", 1.0)
    data = saved(photo("chelsea"), "JPEG", icc_profile=profile)
    assert prepared(picture_of(data)).jpeg("420", 90) is None
    native, portable = (prepared(picture_of(data, k)).pixels() for k in ("native", "portable"))
    assert psnr(native, portable) >= 38


@pytest.mark.parametrize(
    "later",
    [
        lambda picture: picture.crop(3, 4, 50, 40),
        lambda picture: picture.resize(200, 200),
        lambda picture: picture.solarize(100),
        lambda picture: picture.pad(1, 2, 3, 4),
        lambda picture: picture.blur(1.5),
        lambda picture: picture.gray(),
    ],
)
def test_steps_after_a_filter_follow_it(later):
    made = []
    for kernel in ("native", "portable"):
        picture = prepared(picture_of(PHOTO, kernel))
        later(picture)
        picture.flip_vertical()
        made.append(picture.pixels())
    assert made[0].shape == made[1].shape
    assert psnr(*made) >= 30


def test_shrinking_and_then_enlarging_takes_two_steps():
    made = []
    for kernel in ("native", "portable"):
        picture = picture_of(PHOTO, kernel)
        picture.resize(40, 30)
        picture.resize(200, 150)
        assert picture.jpeg("420", 90) is None
        made.append(picture.pixels())
    assert psnr(*made) >= 38


def test_all_copies_share_one_decoding_and_each_is_as_if_made_alone():
    def copies(chosen):
        frame = SourceImage(PHOTO, Codec(kernel="native"))
        pictures = [frame.picture() for _ in range(4)]
        for number, picture in enumerate(pictures):
            picture.crop(10 * number, 50 * number, 150 + 20 * number, 150 + 30 * number)
            picture.resize(64, 64)
        made = [pictures[number].jpeg("420", 90) for number in chosen]
        assert frame.decodes == 1
        return made

    together = copies(range(4))
    assert len(set(together)) == 4
    assert copies([3, 1]) == [together[3], together[1]]


DAMAGED = {
    "cut": PHOTO[:-3000],
    "cut after its end marker was found": PHOTO[:-3000] + b"\xff\xd9",
    "broken": PHOTO[:20_000] + bytes(range(256)) * 30 + PHOTO[28_000:],
    "no pixels": saved(scene(16, 16), "JPEG")[:-40],
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damage_has_the_message_of_the_portable_kernel(data):
    reasons = []
    for kernel in ("native", "portable"):
        picture = picture_of(data, kernel)
        picture.resize(8, 8)
        assert picture.jpeg("420", 90) is None
        with pytest.raises(DecodeError) as caught:
            picture.pixels()
        reasons.append(str(caught.value))
    assert reasons[0] == reasons[1]


OTHERS = {
    "CMYK": saved(scene(64, 48).convert("CMYK"), "JPEG"),
    "PNG": saved(scene(64, 48), "PNG"),
    "stray bytes": PHOTO[:-2] + bytes(64) + PHOTO[-2:],
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_unsupported_images_fall_back_to_the_portable_kernel(data):
    made = []
    for kernel in ("native", "portable"):
        picture = picture_of(data, kernel)
        picture.resize(30, 20)
        picture.sharpen()
        picture.blur(0.8)
        picture.gray()
        assert picture.jpeg("420", 90) is None
        made.append(picture.pixels())
    assert (made[0] == made[1]).all()


def test_a_gray_jpeg_becomes_one_of_three_channels():
    data = saved(photo("brick").convert("L"), "JPEG")
    made = Image.open(io.BytesIO(prepared(picture_of(data)).jpeg("420", 90)))
    assert made.mode == "RGB"
    assert (np.asarray(made)[..., 0] == np.asarray(made)[..., 2]).all()


def test_a_side_too_long_for_a_jpeg_is_left_to_the_encoder():
    picture = picture_of(saved(Image.fromarray(noise(8, 8)), "JPEG"))
    picture.resize(70_000, 1)
    assert picture.jpeg("420", 90) is None


def test_a_subsampling_that_planes_do_not_have_takes_pixels():
    assert prepared(picture_of(PHOTO)).jpeg("422", 90) is None
