import colorsys

import cv2
import numpy as np
import pytest
from PIL import ImageFilter, ImageOps
from support.pictures import noise, photo, picture_of, psnr, worst

from wdsremux.transforms.base import sample_rng
from wdsremux.transforms.steps.catalogue import STEPS, apply_steps, steps_from_text

COLOURS = [name for name, step in STEPS.items() if step.__module__.endswith("colour")]


def stepped(pixels, *texts, seed=0):
    picture = picture_of(pixels)
    apply_steps(steps_from_text(texts), [picture], [sample_rng(seed, 0, 0)], (255, 255, 255))
    return picture.pixels()


def example(name):
    return {
        "color-jitter": "color-jitter=0.4,0.4,0.4,0.1",
        "posterize": "posterize=3",
        "solarize": "solarize=128",
    }.get(name, name)


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 3), (37, 23)])
def test_every_step_takes_images_of_any_size(name, size):
    for seed in range(5):
        result = stepped(noise(*size), example(name), seed=seed)
        assert result.shape == (size[1], size[0], 3)
        assert result.dtype == np.uint8


@pytest.mark.parametrize("name", COLOURS)
def test_every_step_does_the_same_with_three_and_four_channels(name):
    pixels = noise(37, 23, 4)
    three = stepped(np.ascontiguousarray(pixels[..., :3]), example(name))
    assert (stepped(pixels, example(name)) == three).all()


@pytest.mark.parametrize("name", COLOURS)
def test_no_step_modifies_its_input(name):
    pixels = noise(37, 23)
    stepped(pixels, example(name))
    assert (pixels == noise(37, 23)).all()


@pytest.mark.parametrize("name", ["grayscale", "sharpen", "random-erasing"])
def test_steps_apply_with_their_probability(name):
    pixels = noise(20, 20)
    changed = sum((stepped(pixels, f"{name}=0.3", seed=s) != pixels).any() for s in range(300))
    assert 60 < changed < 120
    assert (stepped(pixels, f"{name}=0") == pixels).all()
    assert (stepped(pixels, f"{name}=1") != pixels).any()


def test_sharpening_is_pillows_within_a_level_but_for_the_border():
    image = photo("coffee")
    expected = np.asarray(image.filter(ImageFilter.SHARPEN))
    assert worst(stepped(np.asarray(image), "sharpen")[1:-1, 1:-1], expected[1:-1, 1:-1]) <= 1


def test_sharpening_is_exact_arithmetic_rounded_once():
    pixels = noise(31, 17)
    padded = np.pad(pixels.astype(np.int64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    box = sum(padded[y : y + 17, x : x + 31] for y in range(3) for x in range(3))
    exact = np.clip(np.rint((34 * pixels.astype(np.int64) - 2 * box) / 16), 0, 255)
    assert (stepped(pixels, "sharpen") == exact).all()


def test_the_bytes_of_filters_do_not_depend_on_the_cpu():
    pixels = noise(131, 97)
    results = set()
    try:
        for optimized in (True, False):
            cv2.setUseOptimized(optimized)
            results.add(stepped(pixels, "sharpen", "blur=1.3").tobytes())
    finally:
        cv2.setUseOptimized(True)
    assert len(results) == 1


def test_blur_is_a_gaussian_of_its_sigma():
    image = photo("coffee")
    expected = np.asarray(image.filter(ImageFilter.GaussianBlur(2)))
    assert psnr(stepped(np.asarray(image), "blur=2"), expected) > 40
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    assert stepped(point, "blur")[20, 20, 0] == pytest.approx(255 / (2 * np.pi), abs=1)


def test_blur_has_a_sigma_of_one_by_default():
    assert (stepped(noise(20, 20), "blur") == stepped(noise(20, 20), "blur=1.0")).all()


def test_gray_is_luma_in_three_equal_channels():
    result = stepped(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8), "grayscale")
    assert result.tolist() == [[[76] * 3, [150] * 3, [29] * 3]]


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("autocontrast", ImageOps.autocontrast),
        ("equalize", ImageOps.equalize),
        ("posterize=3", lambda image: ImageOps.posterize(image, 3)),
        ("solarize=100", lambda image: ImageOps.solarize(image, 100)),
    ],
)
def test_operations_of_pillow_are_just_that(text, operation):
    image = photo("chelsea")
    assert (stepped(np.asarray(image), text) == np.asarray(operation(image))).all()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("color-jitter=0.5", 0.5, 1.5), ("color-jitter=2", 0.0, 3.0)],
)
def test_brightness_is_multiplied_by_a_factor_of_its_range(text, low, high):
    pixels = np.full((1, 1, 3), 80, np.uint8)
    factors = [stepped(pixels, text, seed=seed)[0, 0, 0] / 80 for seed in range(300)]
    assert low - 0.02 <= min(factors) < low + 0.05
    assert high - 0.05 < max(factors) <= high + 0.02


def test_missing_jitters_are_not_applied():
    gray = np.full((2, 2, 3), 80, np.uint8)
    gray[0] = 120
    assert (stepped(gray, "color-jitter=0,0,0.9,0.5") == gray).all()
    colour = np.full((2, 2, 3), (200, 100, 50), np.uint8)
    assert (stepped(colour, "color-jitter=0") == colour).all()
    jittered = [stepped(noise(4, 4), "color-jitter=0,0.9", seed=seed) for seed in range(5)]
    assert all((result != noise(4, 4)).any() for result in jittered)


def test_the_hue_changes_within_its_range_only():
    colour = (200, 100, 50)
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
    turns = []
    for seed in range(200):
        result = stepped(np.full((1, 1, 3), colour, np.uint8), "color-jitter=0,0,0,0.25", seed=seed)
        h, s, v = colorsys.rgb_to_hsv(*(int(c) / 255 for c in result[0, 0]))
        assert (s, v) == pytest.approx((saturation, value), abs=0.02)
        turns.append((h - hue + 0.5) % 1 - 0.5)
    assert -0.26 < min(turns) < -0.23
    assert 0.23 < max(turns) < 0.26


class Noting:
    """Stands for a picture and notes down in what order its colours are changed."""

    def __init__(self):
        self.changes = []

    def __getattr__(self, name):
        return lambda _factor: self.changes.append(name)


def test_jitters_come_in_every_order():
    (step,) = steps_from_text(["color-jitter=0.9,0.9,0.9,0.5"])
    orders = set()
    for seed in range(300):
        picture = Noting()
        step.apply(picture, sample_rng(seed, 0, 0))
        orders.add(tuple(picture.changes))
    assert len(orders) == 24
    assert {frozenset(order) for order in orders} == {
        frozenset(("brightness", "contrast", "saturation", "hue"))
    }


def test_an_erased_part_is_a_black_rectangle_of_the_right_area_and_shape():
    areas = []
    for seed in range(300):
        result = stepped(np.full((100, 140, 3), 255, np.uint8), "random-erasing=1", seed=seed)
        black = (result == 0).all(axis=-1)
        rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
        height, width = len(rows), len(columns)
        assert black.sum() == height * width
        assert (result[~black] == 255).all()
        assert 0.25 < height / width < 3.9
        areas.append(height * width / 14_000)
    assert 0.018 < min(areas) < 0.04
    assert 0.3 < max(areas) < 0.335


def test_nothing_is_erased_where_no_rectangle_fits():
    assert stepped(np.full((1, 1, 3), 255, np.uint8), "random-erasing=1").min() == 255
