"""What is seen in rows while they are converted: shown once, counted, kept in the manifest."""

import io
import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.forked_runs import convert
from support.runs import manifest, rejected, samples

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


def png(number):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


LISTS = [[png(0), png(1)], [png(2)], [], [png(3), png(4), png(5)]]


def parquet_of_lists(folder):
    folder.mkdir()
    images = pa.array(LISTS, pa.list_(pa.binary()))
    pq.write_table(pa.table({"images": images, "label": [7, 8, 9, 10]}), folder / "x.parquet")
    return folder


def saved_lists(folder):
    features = datasets.Features(
        {"images": datasets.List(datasets.Image()), "label": datasets.Value("int64")}
    )
    rows = {"images": LISTS, "label": [7, 8, 9, 10]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(folder)
    return folder


def reds_and_labels(out):
    return [
        (Image.open(io.BytesIO(each["png"])).getpixel((0, 0))[0], json.loads(each["json"])["label"])
        for each in samples(out)
    ]


@pytest.mark.parametrize("made", [parquet_of_lists, saved_lists])
def test_the_first_image_of_a_list_is_packed_and_the_others_are_counted(tmp_path, made):
    source, out = made(tmp_path / "in"), tmp_path / "out"
    options = ("--format", "png", "--max-errors", "1", "--progress", "log")
    result = convert(source, out, *options)
    assert reds_and_labels(out) == [(0, 7), (2, 8), (3, 10)]
    assert "note: 3 × images left out: column 'images' holds lists" in result.stdout
    assert any("--image-list each" in note for note in manifest(out)["notes"])
    assert [line["position"] for line in rejected(out)] == [2]


@pytest.mark.parametrize("made", [parquet_of_lists, saved_lists])
def test_each_image_of_a_list_can_be_a_sample(tmp_path, made):
    source, out = made(tmp_path / "in"), tmp_path / "out"
    options = ("--format", "png", "--max-errors", "1", "--image-list", "each")
    convert(source, out, *options)
    assert reds_and_labels(out) == [(0, 7), (1, 7), (2, 8), (3, 10), (4, 10), (5, 10)]
    assert not any("images left out" in note for note in manifest(out)["notes"])
    totals = manifest(out)["totals"]
    assert (totals["rows"], totals["samples"], totals["rejected"]) == (7, 6, 1)


def test_a_list_of_images_beside_an_image_column_can_be_named(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    images = pa.array([[png(1)], [png(2)]], pa.list_(pa.binary()))
    pq.write_table(pa.table({"image": [png(8), png(9)], "views": images}), source / "x.parquet")
    convert(source, out, "--image-column", "views", "--format", "png", "--label-column", "")
    reds = [Image.open(io.BytesIO(each["png"])).getpixel((0, 0))[0] for each in samples(out)]
    assert reds == [1, 2]


def test_each_image_and_a_key_column_exclude_each_other(tmp_path):
    source = parquet_of_lists(tmp_path / "in")
    options = ("--image-list", "each", "--key-column", "label")
    assert "--image-list each" in convert(source, tmp_path / "out", *options, code=2).stderr
