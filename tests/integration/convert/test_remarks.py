"""What is seen in rows while they are converted: shown once, counted, kept in the manifest."""

import io

import numpy as np
import pytest
from PIL import Image
from support.runs import convert, manifest, samples

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def deep_folder(tmp_path):
    source = tmp_path / "deep"
    source.mkdir()
    Image.new("RGB", (4, 4), "red").save(source / "0.png")
    for number in (1, 2, 3):
        values = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (8, 1))
        Image.fromarray(values).save(source / f"{number}.png")
    return source


def brightest(out):
    return [int(np.asarray(Image.open(io.BytesIO(each["png"]))).max()) for each in samples(out)]


def test_12_bit_data_in_16_bits_is_noted_with_the_option_that_shows_it(tmp_path):
    source, out = deep_folder(tmp_path), tmp_path / "out"
    result = convert(source, out, "--format", "png", "--progress", "log")
    assert result.stderr.count("nearly black") == 1
    assert "--depth-range 0:4095" in result.stderr
    assert "note: 3 × 16-bit images use less than 1/8" in result.stdout
    (note,) = manifest(out)["notes"]
    assert note.endswith("(first in row 1)")
    assert brightest(out) == [255, 16, 16, 16]

    other = tmp_path / "other"
    convert(source, other, "--format", "png", "--depth-range", "0:4095")
    assert brightest(other) == [255, 255, 255, 255]
    assert manifest(other)["recipe"]["depth_range"] == [0.0, 4095.0]
    assert "4095 is white" in manifest(other)["notes"][0]


def test_remarks_are_the_same_for_any_number_of_workers(tmp_path):
    source = deep_folder(tmp_path)
    found = []
    for workers in ("0", "2"):
        out = tmp_path / workers
        convert(source, out, "--workers", workers)
        found.append((out / "index.json").read_bytes())
    assert found[0] == found[1]
