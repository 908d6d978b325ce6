import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from support.pictures import noise

from wdsremux.transforms.pending_geometry import upright, whole
from wdsremux.transforms.resample import render

sizes = st.integers(1, 9)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_turn_as_pillow_turns_them(orientation):
    pixels = noise(7, 5)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    plan = upright((7, 5), orientation)
    assert plan.size == expected.shape[1::-1]
    assert (render(pixels, plan) == expected).all()


@given(sizes, sizes, st.integers(1, 8), st.lists(st.integers(0, 2), max_size=8), st.data())
def test_whole_crops_and_flips_in_any_order_move_pixels_exactly(w, h, orientation, moves, data):
    pixels = noise(w, h)
    plan = upright((w, h), orientation)
    expected = render(pixels, plan)
    for move in moves:
        if move == 0:
            plan, expected = plan.flip_horizontal(), expected[:, ::-1]
        elif move == 1:
            plan, expected = plan.flip_vertical(), expected[::-1]
        else:
            left = data.draw(st.integers(0, plan.size[0] - 1))
            top = data.draw(st.integers(0, plan.size[1] - 1))
            width = data.draw(st.integers(1, plan.size[0] - left))
            height = data.draw(st.integers(1, plan.size[1] - top))
            plan = plan.crop(left, top, width, height)
            expected = expected[top : top + height, left : left + width]
    assert not plan.resamples
    assert plan.size == expected.shape[1::-1]
    assert (render(pixels, plan) == expected).all()


@given(st.integers(1, 8), st.floats(0, 20), st.floats(0, 20), st.floats(0.01, 20), st.data())
def test_the_box_never_leaves_the_stored_pixels(orientation, left, top, side, data):
    plan = upright((40, 41), orientation).resize(30, 31)
    for _ in range(4):
        width, height = plan.size
        if left + side > width or top + side > height:
            break
        plan = plan.crop(left, top, side, side).resize(
            data.draw(st.integers(1, 50)), data.draw(st.integers(1, 50))
        )
        x0, y0, x1, y1 = plan.box
        assert 0 <= x0 <= x1 <= 40
        assert 0 <= y0 <= y1 <= 41


def test_a_resize_then_a_crop_is_a_box_of_the_source():
    plan = whole((400, 200)).resize(200, 50).crop(20, 10, 100, 20)
    assert plan.box == (40, 40, 240, 120)
    assert plan.size == (100, 20)
    assert plan.resamples


def test_only_a_crop_of_fractional_pixels_resamples():
    assert not whole((40, 20)).crop(3, 4, 5, 6).resamples
    assert whole((40, 20)).crop(3.5, 4, 5, 6).resamples
    assert whole((40, 20)).crop(3, 4, 5.2, 6).resamples


def test_a_crop_keeps_at_least_one_pixel():
    assert whole((40, 20)).crop(3, 4, 0.2, 0.3).size == (1, 1)


def test_the_reduction_is_that_of_the_axis_with_fewer_pixels():
    assert whole((400, 200)).resize(100, 100).reduction == 2
    assert upright((400, 200), 6).resize(100, 100).reduction == 2


def test_boxes_shrink_by_exactly_the_divisor():
    plan = whole((401, 203)).crop(1, 1, 399, 201).resize(40, 20).scaled(8)
    assert plan.source == (51, 26)
    assert plan.box == (1 / 8, 1 / 8, 50, 202 / 8)


@pytest.mark.parametrize(
    ("first", "then", "lost"),
    [
        ((10, 10), (20, 20), True),
        ((10, 10), (5, 20), True),
        ((10, 10), (5, 5), False),
        ((200, 200), (150, 150), False),
        ((200, 10), (300, 10), False),
    ],
)
def test_only_enlarging_after_shrinking_needs_a_second_step(first, then, lost):
    assert whole((100, 100)).resize(*first).loses_detail(*then) is lost
    assert upright((100, 100), 6).resize(*first).loses_detail(*then) is lost
