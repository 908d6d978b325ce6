import numpy as np
import pytest
from support.pictures import noise, picture_of, worst

from wdsremux.transforms.base import StepError, sample_rng
from wdsremux.transforms.steps.catalogue import apply_steps, steps_from_text

MATTE = (1, 2, 3)


def stepped(pixels, *texts, seed=0):
    picture = picture_of(pixels)
    apply_steps(steps_from_text(texts), [picture], [sample_rng(seed, 0, 0)], MATTE)
    return picture.pixels()


def size_after(width, height, *texts, seed=0):
    picture = picture_of(np.zeros((height, width, 3), np.uint8))
    apply_steps(steps_from_text(texts), [picture], [sample_rng(seed, 0, 0)], MATTE)
    return picture.size


def place_of(part, pixels):
    """Return left and top of a part that was cut out exactly."""
    height, width = part.shape[:2]
    for top in range(pixels.shape[0] - height + 1):
        for left in range(pixels.shape[1] - width + 1):
            if (pixels[top : top + height, left : left + width] == part).all():
                return left, top
    raise AssertionError("the part is not in the image")


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("resize=256", (500, 375), (341, 256)),
        ("resize=256", (375, 500), (256, 341)),
        ("resize=256", (10, 10), (256, 256)),
        ("resize=256", (1, 1), (256, 256)),
        ("resize=2", (1000, 1), (2000, 2)),
        ("resize=256x192", (500, 375), (256, 192)),
        ("resize=256x192", (1, 1), (256, 192)),
        ("resize-max=512", (1024, 100), (512, 50)),
        ("resize-max=512", (100, 1024), (50, 512)),
        ("resize-max=512", (512, 512), (512, 512)),
        ("resize-max=512", (20, 30), (20, 30)),
        ("resize-max=10", (1000, 1), (10, 1)),
        ("center-crop=224", (500, 375), (224, 224)),
        ("center-crop=30x20", (1, 1), (30, 20)),
        ("random-crop=224", (500, 375), (224, 224)),
        ("random-crop=30x20", (25, 50), (30, 20)),
        ("random-resized-crop=224", (500, 375), (224, 224)),
        ("random-resized-crop=20x30", (1, 1), (20, 30)),
        ("random-resized-crop=8,1.0,1.0,3.0,4.0", (1, 900), (8, 8)),
        ("random-resized-crop=8,1.0,1.0,0.2,0.3", (900, 1), (8, 8)),
        ("center-crop-scale=0.5,0.5", (500, 375), (250, 188)),
        ("center-crop-scale=0.001,0.001", (1, 1), (1, 1)),
        ("pad=256", (100, 200), (256, 256)),
        ("pad=256", (300, 200), (300, 256)),
        ("pad=256", (300, 400), (300, 400)),
        ("rotate=45", (30, 20), (30, 20)),
        ("rotate=45", (1, 1), (1, 1)),
    ],
)
def test_every_step_gives_its_size(text, size, expected):
    assert size_after(*size, text) == expected


def test_a_short_side_that_would_make_the_long_one_endless_is_refused():
    with pytest.raises(StepError, match="more than --max-pixels"):
        size_after(1, 60_000, "resize=4000")


def test_padding_to_more_pixels_than_allowed_is_refused():
    with pytest.raises(StepError, match="more than --max-pixels"):
        size_after(9, 9, "pad=20000")


@pytest.mark.parametrize(
    ("size", "left", "top"), [((9, 8), 2, 2), ((10, 7), 3, 1), ((11, 5), 4, 0)]
)
def test_a_centre_crop_equals_that_of_torchvision(size, left, top):
    pixels = noise(*size)
    assert (stepped(pixels, "center-crop=4x5") == pixels[top : top + 5, left : left + 4]).all()


def test_a_centre_crop_of_a_small_image_is_padded_with_the_matte():
    pixels = noise(3, 8)
    result = stepped(pixels, "center-crop=6")
    assert (result[:, 1:4] == pixels[1:7]).all()
    assert (result[:, [0, 4, 5]] == MATTE).all()


def test_random_crops_reach_every_position_and_stay_inside():
    pixels = noise(7, 6)
    places = {place_of(stepped(pixels, "random-crop=5x4", seed=s), pixels) for s in range(120)}
    assert places == {(left, top) for left in range(3) for top in range(3)}


def test_a_small_image_reaches_every_position_of_a_random_crop():
    pixels = noise(3, 2) // 2 + 100
    places = set()
    for seed in range(120):
        result = stepped(pixels, "random-crop=5x4", seed=seed)
        places.add(place_of(pixels, result))
        assert (result == MATTE).all(axis=-1).sum() == 20 - 6
    assert places == {(left, top) for left in range(3) for top in range(3)}


def test_a_random_resized_crop_keeps_to_its_ranges():
    shares, ratios = [], []
    for seed in range(300):
        picture = picture_of(np.zeros((300, 400, 3), np.uint8))
        steps = steps_from_text(["random-resized-crop=8,0.2,0.5,0.5,2.0"])
        apply_steps(steps, [picture], [sample_rng(seed, 0, 0)], MATTE)
        left, top, right, bottom = picture.first_plan.box
        shares.append((right - left) * (bottom - top) / (300 * 400))
        ratios.append((right - left) / (bottom - top))
    assert 0.195 < min(shares) < 0.22
    assert 0.48 < max(shares) < 0.505
    assert 0.49 < min(ratios) < 0.55
    assert 1.8 < max(ratios) < 2.02
    assert abs(np.mean(np.log(ratios))) < 0.1


def test_a_random_resized_crop_that_never_fits_takes_the_largest_allowed_centre():
    for size, box in (
        ((1000, 100), (433, 0, 566, 100)),
        ((100, 1000), (0, 433, 100, 566)),
        ((100, 100), (0, 0, 100, 100)),
    ):
        width, height = size
        picture = picture_of(np.zeros((height, width, 3), np.uint8))
        steps = steps_from_text(["random-resized-crop=8,1.0,1.0"])
        apply_steps(steps, [picture], [sample_rng(1, 0, 0)], MATTE)
        assert picture.first_plan.box == pytest.approx(box, abs=1)


def test_a_centre_crop_scale_draws_its_share_and_keeps_the_centre():
    shares = []
    for seed in range(200):
        picture = picture_of(np.zeros((1000, 2000, 3), np.uint8))
        steps = steps_from_text(["center-crop-scale=0.7,1.0"])
        apply_steps(steps, [picture], [sample_rng(seed, 0, 0)], MATTE)
        left, top, right, bottom = picture.first_plan.box
        assert abs(left + right - 2000) <= 1
        assert abs(top + bottom - 1000) <= 1
        assert (right - left) / (bottom - top) == pytest.approx(2, rel=0.01)
        shares.append((bottom - top) / 1000)
    assert 0.7 <= min(shares) < 0.72
    assert 0.98 < max(shares) <= 1.0


def test_padding_surrounds_the_image_with_the_matte():
    pixels = noise(3, 4)
    result = stepped(pixels, "pad=6")
    assert (result[1:5, 1:4] == pixels).all()
    result[1:5, 1:4] = MATTE
    assert (result == MATTE).all()


@pytest.mark.parametrize(("text", "turn"), [("hflip", np.fliplr), ("vflip", np.flipud)])
def test_flips_happen_with_their_probability(text, turn):
    pixels = noise(7, 5)
    flipped = 0
    for seed in range(400):
        result = stepped(pixels, f"{text}=0.25", seed=seed)
        if (result == turn(pixels)).all():
            flipped += 1
        else:
            assert (result == pixels).all()
    assert 60 < flipped < 140
    assert (stepped(pixels, f"{text}=1") == turn(pixels)).all()
    assert (stepped(pixels, f"{text}=0") == pixels).all()


def test_a_turn_keeps_the_centre_and_shows_the_matte_in_the_corners():
    pixels = np.full((40, 40, 3), 200, np.uint8)
    result = stepped(pixels, "rotate=45", seed=3)
    assert (result[20, 20] == 200).all()
    assert (result[0, 0] == MATTE).all()


def test_a_turn_by_no_angle_changes_nothing():
    assert worst(stepped(noise(20, 10), "rotate=0"), noise(20, 10)) == 0
