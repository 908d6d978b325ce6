import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.pictures import opened, photos, psnr, saved, scene

from wdsremux.core.errors import UsageError
from wdsremux.transforms.base import sample_rng
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.steps.arguments import Extent
from wdsremux.transforms.steps.catalogue import (
    FOUNDING,
    STEPS,
    apply_steps,
    catalogue,
    steps_from_text,
)
from wdsremux.transforms.steps.geometry import (
    CenterCropScale,
    FlipHorizontal,
    RandomResizedCrop,
    Resize,
)
from wdsremux.transforms.steps.picture import SourceImage


def made(data, texts, copies=1, seed=42, position=0):
    codec = Codec()
    frame = SourceImage(data, codec)
    pictures = [frame.picture() for _ in range(copies)]
    rngs = [sample_rng(seed, copy, position) for copy in range(copies)]
    apply_steps(steps_from_text(texts), pictures, rngs, codec.matte)
    return frame, [picture.pixels() for picture in pictures]


def test_every_documented_step_exists():
    assert list(STEPS) == [
        "resize", "resize-max", "center-crop", "random-crop", "random-resized-crop",
        "center-crop-scale", "pad", "hflip", "vflip", "rotate", "color-jitter", "grayscale",
        "sharpen", "blur", "autocontrast", "equalize", "posterize", "solarize", "random-erasing",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("resize=256", "resize=256"),
        ("resize=256x192", "resize=256x192"),
        (" resize = 256 ", "resize=256"),
        ("resize-max=512", "resize-max=512"),
        ("center-crop=224", "center-crop=224"),
        ("random-resized-crop=224", "random-resized-crop=224,0.08,1.0,0.75,1.3333333333333333"),
        ("random-resized-crop=224,.5,1", "random-resized-crop=224,0.5,1.0,0.75,1.3333333333333333"),
        ("center-crop-scale=0.7,1", "center-crop-scale=0.7,1.0"),
        ("hflip", "hflip=0.5"),
        ("vflip=1", "vflip=1.0"),
        ("rotate=15", "rotate=15.0"),
        ("color-jitter=0.4,0.4", "color-jitter=0.4,0.4,0.0,0.0"),
        ("grayscale", "grayscale=1.0"),
        ("sharpen", "sharpen=1.0"),
        ("blur", "blur=1.0"),
        ("autocontrast", "autocontrast"),
        ("posterize=4", "posterize=4"),
        ("random-erasing", "random-erasing=0.5"),
    ],
)
def test_the_string_of_a_step_shows_every_default_and_parses_back(text, canonical):
    (step,) = steps_from_text([text])
    assert str(step) == canonical
    assert steps_from_text([canonical]) == (step,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "resiz=256",
            r"unknown step 'resiz=256'; did you mean resize\?; the steps are resize, resize-max, ",
        ),
        ("resize 256", "step 'resize 256': its arguments follow '='; write resize=256"),
        ("resize=64,hflip", "step 'resize=64,hflip' holds several steps; pass each separately, "),
        ("hflip,resize=64", "step 'hflip,resize=64' holds several steps"),
        ("", "unknown step ''"),
        ("resize", r"step 'resize' got 0 arguments; write 'resize=SIZE'"),
        ("resize=1,2", "step 'resize' got 2 arguments"),
        ("resize=", "size is '', not a number of pixels from 1 to 65500, such as 224 or 256x192"),
        ("resize=0", "size is '0', not a number of pixels"),
        ("resize=256x", "size is '256x', not a number of pixels"),
        ("resize=-5x5", "size is '-5x5', not a number of pixels"),
        ("resize=2.5", "size is '2.5', not a number of pixels"),
        ("resize-max=3x3", "size is '3x3', not a whole number from 1 to 65500"),
        ("center-crop-scale=0.7", r"got 1 argument; write 'center-crop-scale=LO,HI'"),
        ("center-crop-scale=1,0.7", "lo 1.0 is larger than hi 0.7; write the smaller one first"),
        ("center-crop-scale=0,1", "lo is 0.0, not a number from 0.001 to 1.0"),
        ("random-resized-crop=224,1,0.5", "scale_lo 1.0 is larger than scale_hi 0.5"),
        ("random-resized-crop=224,1,1,2,1", "ratio_lo 2.0 is larger than ratio_hi 1.0"),
        ("hflip=2", r"p is 2.0, not a number from 0.0 to 1.0; write 'hflip\[=P\]'"),
        ("hflip=nan", "p is nan, not a number from 0.0 to 1.0"),
        ("hflip=yes", "p is 'yes', not a number"),
        ("hflip=", "p is '', not a number"),
        ("color-jitter=0,0,0,0.6", "h is 0.6, not a number from 0.0 to 0.5"),
        ("posterize=9", "bits is 9, not a whole number from 1 to 8"),
        ("posterize=2.0", "bits is '2.0', not a whole number"),
        ("autocontrast=1", "got 1 argument; write 'autocontrast'"),
    ],
)
def test_a_wrong_step_is_refused_with_what_is_allowed(text, message):
    with pytest.raises(UsageError, match=message):
        steps_from_text([text])


def test_steps_made_in_python_are_checked_alike():
    assert str(Resize(Extent(256))) == "resize=256"
    assert str(FlipHorizontal(1)) == "hflip=1.0"
    assert RandomResizedCrop(Extent(8), 1, 1) == RandomResizedCrop(Extent(8), 1.0, 1.0)
    for make in (
        lambda: FlipHorizontal(2),
        lambda: FlipHorizontal("x"),
        lambda: FlipHorizontal(True),
        lambda: Resize(256),
        lambda: Resize(Extent(0)),
        lambda: CenterCropScale(0.9, 0.5),
    ):
        with pytest.raises(UsageError):
            make()


def test_the_catalogue_describes_the_syntax_and_effect_of_each_step():
    rows = dict(catalogue())
    assert len(rows) == len(STEPS)
    assert rows["hflip[=P]"] == "Flip left to right with probability P. Default: P 0.5."
    assert "random-resized-crop=SIZE[,SCALE_LO[,SCALE_HI[,RATIO_LO[,RATIO_HI]]]]" in rows
    assert "color-jitter=B[,C[,S[,H]]]" in rows
    assert all(meaning.endswith(".") for meaning in rows.values())


def test_reading_steps_loads_no_image_library():
    code = (
        "import sys; from wdsremux.transforms.steps.catalogue import steps_from_text, catalogue;"
        "steps_from_text(['resize=256', 'sharpen']); catalogue();"
        "print(sorted({'numpy', 'cv2', 'PIL'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "[]"


def test_steps_are_applied_in_order_and_to_every_copy_before_the_next():
    calls = []

    class Noting:
        def __init__(self, name):
            self.name = name

        def apply(self, picture, rng):
            calls.append((self.name, picture.label, rng))

    class Labelled:
        def __init__(self, label):
            self.label = label

    pictures = [Labelled("a"), Labelled("b")]
    apply_steps([Noting(1), Noting(2)], pictures, ["x", "y"], (0, 0, 0))
    assert calls == [(1, "a", "x"), (1, "b", "y"), (2, "a", "x"), (2, "b", "y")]
    assert [picture.matte for picture in pictures] == [(0, 0, 0)] * 2


@pytest.mark.parametrize("extra", ["sharpen", "pad=300", "rotate=10", "random-crop=300"])
def test_four_copies_cost_one_decoding(extra):
    frame, results = made(photos()[1], ["random-resized-crop=128", extra], copies=4)
    assert frame.decodes == 1
    assert len({result.tobytes() for result in results}) == 4


@pytest.mark.parametrize("text", [
    "random-crop=20", "random-resized-crop=20", "center-crop-scale=0.3,1.0", "hflip", "vflip",
    "rotate=30", "color-jitter=0.4,0.4,0.4,0.2", "grayscale=0.5", "sharpen=0.5",
    "random-erasing=0.5",
])  # fmt: skip
def test_randomness_depends_on_the_sample_only(text):
    data = saved(scene(60, 40), "PNG")
    results = [made(data, [text], position=p)[1][0].tobytes() for p in range(12)]
    again = [made(data, [text], position=p)[1][0].tobytes() for p in reversed(range(12))]
    assert results == again[::-1]
    assert len(set(results)) > 1
    reseeded = [made(data, [text], position=p, seed=7)[1][0].tobytes() for p in range(12)]
    assert results != reseeded


def test_copies_of_an_augmentation_do_not_depend_on_how_many_there_are():
    one = made(photos()[1], FOUNDING, copies=1)[1]
    four = made(photos()[1], FOUNDING, copies=4)[1]
    assert (one[0] == four[0]).all()


def founding_by_pillow(data, rng):
    """Return what the founding augmentation is, without its sharpening, in plain Pillow."""
    image = Image.fromarray(opened(data))
    share = rng.uniform(0.7, 1.0)
    width, height = round(image.width * share), round(image.height * share)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    image = image.resize(
        (256, 256), Image.Resampling.BICUBIC, box=(left, top, left + width, top + height)
    )
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def test_the_founding_augmentation_matches_pillow():
    likeness = []
    for position, data in enumerate(photos()):
        _, (result,) = made(data, FOUNDING[:3], position=position)
        expected = founding_by_pillow(data, sample_rng(42, 0, position))
        likeness.append(psnr(result, expected))
    assert np.mean(likeness) >= 45


def test_the_founding_augmentation_is_the_same_every_time():
    for position, data in enumerate(photos()):
        _, first = made(data, FOUNDING, copies=2, position=position)
        _, second = made(data, FOUNDING, copies=2, position=position)
        assert [a.tobytes() for a in first] == [a.tobytes() for a in second]
        assert first[0].shape == (256, 256, 3)
        assert (first[0] != first[1]).any()
