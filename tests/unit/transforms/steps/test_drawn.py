"""What steps draw for an image, as strings."""

import numpy as np
import pytest

from wdsremux.transforms.base import sample_rng
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.steps.catalogue import STEPS, apply_steps, steps_from_text
from wdsremux.transforms.steps.drawn import PictureLog, drawn
from wdsremux.transforms.steps.picture import SourceImage

ARGUMENTS = {
    "resize": "64",
    "resize-max": "64",
    "center-crop": "48",
    "random-crop": "48",
    "random-resized-crop": "48",
    "center-crop-scale": "0.5,0.9",
    "pad": "200",
    "rotate": "20",
    "color-jitter": "0.3,0.3,0.3,0.1",
    "posterize": "3",
    "solarize": "128",
}


def step(name):
    return f"{name}={ARGUMENTS[name]}" if name in ARGUMENTS else name


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("position", [0, 7])
def test_every_step_runs_without_pixels_and_ends_at_the_size_it_gives_pixels(name, position):
    steps = steps_from_text([step(name)])
    pixels = np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8)
    codec = Codec(format="png")
    picture = SourceImage(codec.encode(pixels), codec).picture()
    apply_steps(steps, [picture], [sample_rng(42, 1, position)], codec.matte)
    log = PictureLog(120, 90)
    steps[0].apply(log, sample_rng(42, 1, position))
    assert log.size == picture.size == picture.pixels().shape[1::-1]


def test_the_lines_say_what_was_drawn():
    steps = steps_from_text(["center-crop=80x60", "resize=40x30", "hflip=1", "sharpen", "vflip=0"])
    lines = drawn(steps, (100, 100), seed=42, copy=0, position=0)
    assert lines == ("crop 80 × 60 at 10, 20", "resize to 40 × 30", "flip left to right", "sharpen")


def test_the_draw_is_that_of_the_row_and_the_copy():
    steps = steps_from_text(["random-crop=32"])
    draws = {
        drawn(steps, (400, 400), seed=42, copy=copy, position=position)
        for copy in range(3)
        for position in range(3)
    }
    assert len(draws) == 9
    again = drawn(steps, (400, 400), seed=42, copy=2, position=2)
    assert again in draws
