from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps
from support.pictures import (
    icc_profile,
    noise,
    opened,
    photo,
    photos,
    picture_of,
    psnr,
    saved,
    scene,
    worst,
)

from wdsremux.transforms.base import StepError
from wdsremux.transforms.codecs.codec import Codec, DecodeError
from wdsremux.transforms.steps.picture import Picture, SourceImage


def frame_of(image, kind="JPEG", **options):
    return SourceImage(saved(image, kind, **options), Codec())


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


def pillow(pixels, box, size):
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box=box))


def test_a_frame_knows_its_upright_size_before_it_is_decoded():
    frame = frame_of(scene(61, 34), **turned(6))
    assert frame.size == (34, 61)
    assert frame.picture().size == (34, 61)
    assert frame.decodes == 0


def test_geometry_costs_no_decoding():
    frame = frame_of(scene(61, 34))
    picture = frame.picture()
    picture.crop(1, 2, 30, 20)
    picture.resize(10, 10)
    picture.flip_horizontal()
    assert picture.size == (10, 10)
    assert frame.decodes == 0


def test_an_untouched_picture_is_the_whole_image():
    data = saved(scene(61, 34), "JPEG")
    pixels = SourceImage(data, Codec()).picture().pixels()
    assert pixels.shape == (34, 61, 3)
    assert (pixels == opened(data)).all()


def test_a_frame_is_decoded_once_for_all_copies():
    frame = SourceImage(photos()[0], Codec())
    pictures = [frame.picture() for _ in range(4)]
    for shift, picture in enumerate(pictures):
        picture.crop(shift, 0, 400, 400)
        picture.resize(64, 64)
    assert len({picture.pixels().tobytes() for picture in pictures}) == 4
    assert frame.decodes == 1


def test_the_largest_copy_decides_the_decoding_scale():
    frame = frame_of(scene(1600, 1600))
    small, large = frame.picture(), frame.picture()
    small.resize(50, 50)
    large.resize(500, 500)
    small.raw()
    assert frame._decode._divisor == 2
    large.raw()
    assert frame.decodes == 1


@pytest.mark.parametrize(
    ("size", "divisor"), [(1600, 1), (534, 1), (533, 2), (267, 2), (266, 4), (133, 8), (10, 8)]
)
def test_a_fraction_is_decoded_only_where_it_has_half_as_many_pixels_again(size, divisor):
    frame = frame_of(scene(1600, 1600))
    picture, other = frame.picture(), frame.picture()
    picture.resize(size, size)
    other.resize(1, 1)
    picture.raw()
    assert frame._decode._divisor == divisor


def test_a_plan_made_after_decoding_still_gets_the_pixels_it_needs():
    data = saved(photo("retina"), "JPEG")
    frame = SourceImage(data, Codec())
    small, exact = frame.picture(), frame.picture()
    exact.resize(50, 50)
    small.resize(50, 50)
    small.raw()
    late = frame.picture()
    assert (late.pixels() == opened(data)).all()
    assert frame.decodes == 2


def test_the_decoded_image_is_released_after_its_last_use():
    frame = SourceImage(photos()[0], Codec())
    first, second = frame.picture(), frame.picture()
    first.raw()
    assert frame._decode._pixels is not None
    second.raw()
    assert frame._decode._pixels is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_writing_to_one_copy_is_not_seen_by_the_others(kind):
    frame = frame_of(scene(30, 20), kind)
    first, second = frame.picture(), frame.picture()
    first.pixels()[:] = 0
    assert second.pixels().max() > 100


def test_a_crop_of_whole_pixels_is_exact():
    data = photos()[0]
    picture = SourceImage(data, Codec()).picture()
    picture.crop(11, 23, 101, 57)
    assert (picture.pixels() == opened(data)[23:80, 11:112]).all()


def test_flips_are_exact():
    data = photos()[0]
    for flip, turn in (
        (Picture.flip_horizontal, np.fliplr),
        (Picture.flip_vertical, np.flipud),
    ):
        picture = SourceImage(data, Codec()).picture()
        flip(picture)
        assert (picture.pixels() == turn(opened(data))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_crops_of_turned_images_are_exact(orientation):
    data = saved(photo("coffee"), "JPEG", **turned(orientation))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))
    picture = SourceImage(data, Codec()).picture()
    picture.crop(5, 7, 200, 111)
    picture.flip_horizontal()
    assert (picture.pixels() == upright[7:118, 5:205][:, ::-1]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_resizes_of_turned_images_are_those_of_upright_ones(orientation):
    image = photo("coffee").crop((0, 0, 333, 217))
    data = saved(image, "JPEG", quality=95, **turned(orientation))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))
    picture = SourceImage(data, Codec()).picture()
    picture.resize(40, 50)
    height, width = upright.shape[:2]
    assert psnr(picture.pixels(), pillow(upright, (0, 0, width, height), (40, 50))) > 44


def test_crop_resize_crop_and_flip_are_one_resampling_of_the_same_region():
    data = photos()[2]
    picture = SourceImage(data, Codec()).picture()
    picture.crop(40, 30, 320, 240)
    picture.resize(160, 120)
    picture.flip_horizontal()
    picture.crop(10, 20, 100, 80)
    stepwise = pillow(opened(data)[30:270, 40:360], (0, 0, 320, 240), (160, 120))
    stepwise = stepwise[:, ::-1][20:100, 10:110]
    assert psnr(picture.pixels()[4:-4, 4:-4], stepwise[4:-4, 4:-4]) > 45


def test_a_second_resize_that_enlarges_keeps_what_the_first_threw_away_lost():
    pixels = noise(64, 64)
    picture = picture_of(pixels)
    picture.resize(8, 8)
    picture.resize(64, 64)
    stepwise = pillow(pillow(pixels, (0, 0, 64, 64), (8, 8)), (0, 0, 8, 8), (64, 64))
    assert worst(picture.pixels(), stepwise) <= 3


def test_high_resolution_photos_keep_their_quality():
    likeness = []
    for data in photos():
        image = Image.open(BytesIO(data)).convert("RGB")
        factor = 3000 / max(image.size)
        large = image.resize((round(image.width * factor), round(image.height * factor)))
        stored = saved(large, "JPEG", quality=90)
        frame = SourceImage(stored, Codec())
        picture = frame.picture()
        picture.crop(123, 77, large.width - 301, large.height - 211)
        picture.resize(256, 256)
        box = (123, 77, large.width - 178, large.height - 134)
        likeness.append(psnr(picture.pixels(), pillow(opened(stored), box, (256, 256))))
        assert frame.decodes == 1
    assert np.mean(likeness) >= 45


def test_a_fraction_is_not_decoded_where_the_format_has_none():
    picture = frame_of(scene(1600, 1600), "PNG").picture()
    picture.resize(20, 20)
    expected = pillow(np.asarray(scene(1600, 1600)), (0, 0, 1600, 1600), (20, 20))
    assert worst(picture.pixels(), expected) <= 2


def test_colours_are_converted_after_the_resampling():
    gray = Image.new("RGB", (64, 64), (128, 128, 128))
    frame = frame_of(gray, icc_profile=icc_profile("RGB ", 1.0))
    picture = frame.picture()
    picture.resize(8, 8)
    assert worst(picture.pixels(), np.full((8, 8, 3), 188)) <= 2


def test_stray_bytes_are_harmless_at_a_fraction_of_the_size():
    data = saved(scene(1600, 1000), "JPEG")
    strayed = data[:-2] + b"\xaa\xbb" * 10 + data[-2:]
    results = []
    for each in (data, strayed):
        picture = SourceImage(each, Codec()).picture()
        picture.resize(160, 100)
        results.append(picture.pixels())
    assert worst(*results) <= 2


def test_stray_bytes_do_not_undo_a_colour_profile():
    data = saved(
        Image.new("RGB", (64, 64), (128, 128, 128)), "JPEG", icc_profile=icc_profile("RGB ", 1.0)
    )
    strayed = data[:-2] + b"\xaa\xbb" * 10 + data[-2:]
    pixels = SourceImage(strayed, Codec()).picture().pixels()
    assert worst(pixels, np.full((64, 64, 3), 188)) <= 2


def test_truncated_data_is_found_when_pixels_are_requested():
    frame = SourceImage(photos()[0][:20_000], Codec())
    with pytest.raises(DecodeError, match="truncated"):
        frame.picture().pixels()


@pytest.mark.parametrize(
    "box", [(-1, 0, 5, 5), (0, 0, 31, 5), (0, 16, 5, 5), (0, 0, 0, 5), (0, 0, 5, -1)]
)
def test_a_crop_that_is_empty_or_outside_is_refused(box):
    with pytest.raises(ValueError, match="not inside 30 x 20"):
        picture_of(noise(30, 20)).crop(*box)


def test_a_resize_to_more_pixels_than_allowed_is_refused():
    picture = SourceImage(saved(scene(10, 1), "PNG"), Codec(max_pixels=1000)).picture()
    with pytest.raises(StepError, match="100 x 11 pixels of 10 x 1, more than --max-pixels 1000"):
        picture.resize(100, 11)


def test_pixels_can_be_replaced():
    picture = frame_of(scene(30, 20)).picture()
    picture.replace(noise(7, 5))
    assert picture.size == (7, 5)
    assert (picture.pixels() == noise(7, 5)).all()


def test_pixels_without_a_file_are_handled_alike():
    pixels = noise(30, 20)
    picture = picture_of(pixels)
    picture.crop(3, 4, 10, 11)
    picture.flip_vertical()
    assert (picture.pixels() == pixels[4:15, 3:13][::-1]).all()


def test_an_image_of_one_pixel_can_be_enlarged():
    picture = frame_of(Image.new("RGB", (1, 1), (10, 200, 30)), "PNG").picture()
    picture.resize(5, 4)
    assert (picture.pixels() == [10, 200, 30]).all()
