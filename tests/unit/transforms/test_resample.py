import importlib.util

import numpy as np
import pytest
from PIL import Image
from support.pictures import noise, photo, psnr

from wdsremux.transforms import resample
from wdsremux.transforms.pending_geometry import upright, whole

BOXES = [
    ((0.0, 0.0, 600.0, 400.0), (256, 256)),
    ((37.25, 11.5, 411.75, 377.125), (224, 224)),
    ((100.0, 100.0, 132.0, 132.0), (256, 256)),
    ((0.0, 0.0, 600.0, 400.0), (1, 1)),
    ((599.5, 399.25, 600.0, 400.0), (3, 5)),
]


def pillow(pixels, box, size):
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box=box))


@pytest.mark.parametrize(("box", "size"), BOXES)
def test_the_result_is_pillows_antialiased_bicubic(box, size):
    pixels = np.asarray(photo("coffee"))
    assert psnr(resample.resample(pixels, box, size), pillow(pixels, box, size)) > 48


@pytest.mark.parametrize(("box", "size"), BOXES)
def test_without_the_fast_resampler_pillow_is_used(box, size, monkeypatch):
    monkeypatch.setattr(resample, "fir", None)
    pixels = np.asarray(photo("coffee"))
    assert resample.resampler_name() == "pillow"
    assert (resample.resample(pixels, box, size) == pillow(pixels, box, size)).all()


def test_the_name_identifies_the_resampling_package():
    installed = importlib.util.find_spec("cykooz_resizer")
    assert resample.resampler_name() == ("cykooz_resizer" if installed else "pillow")


def test_three_and_four_channels_give_the_same_colours():
    pixels = noise(70, 50, 4)
    colours = np.ascontiguousarray(pixels[..., :3])
    four = resample.resample(pixels, (1.5, 2.0, 60.0, 49.0), (30, 20))
    assert four.shape == (20, 30, 4)
    assert (resample.resample(colours, (1.5, 2.0, 60.0, 49.0), (30, 20)) == four[..., :3]).all()


def test_the_source_is_not_changed():
    pixels = noise(70, 50, 4)
    before = pixels.copy()
    resample.resample(pixels, (0.0, 0.0, 70.0, 50.0), (30, 20))
    assert (pixels == before).all()


def fast_resizers():
    """Return the fast resampler with and without the CPU's extensions; nothing where it is not installed."""
    fir = resample.fir
    if fir is None:
        return []
    default, bare = fir.Resizer(), fir.Resizer()
    bare.cpu_extensions = fir.CpuExtensions.none
    assert default.cpu_extensions != bare.cpu_extensions
    return [default, bare]


def resized_by(resizer, pixels, box, size):
    fir = resample.fir
    left, top, right, bottom = box
    options = fir.ResizeOptions(
        fir.ResizeAlg.convolution(fir.FilterType.catmull_rom),
        use_alpha=False,
        crop_box=fir.CropBox(left, top, right - left, bottom - top),
    )
    target = Image.new("CMYK", size)
    resizer.resize_pil(resample._image(pixels), target, options)
    return target.tobytes()


def test_the_bytes_do_not_depend_on_the_cpu():
    resizers = fast_resizers()
    rng = np.random.default_rng(0)
    for _ in range(40):
        width, height = (int(side) for side in rng.integers(1, 300, 2))
        left, right = sorted(rng.uniform(0, width, 2))
        top, bottom = sorted(rng.uniform(0, height, 2))
        size = tuple(int(side) for side in rng.integers(1, 200, 2))
        pixels, box = noise(width, height, 4), (left, top, right, bottom)
        assert len({resized_by(resizer, pixels, box, size) for resizer in resizers}) <= 1


def test_a_plan_that_changes_nothing_gives_the_pixels_themselves():
    pixels = noise(7, 5)
    assert resample.render(pixels, whole((7, 5))) is pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pixels_are_new_and_whole_in_memory(orientation):
    pixels = noise(7, 5)
    plan = upright((7, 5), orientation).crop(1, 1, 3, 3)
    result = resample.render(pixels, plan)
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, pixels)
