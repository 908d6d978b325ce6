"""Promise 5: peak memory does not grow with the number of rows or shards."""

import sys

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.peak_memory import peak_bytes
from support.pictures import photo
from support.runs import COMMAND

pytestmark = pytest.mark.integration

ROWS = 1_600
"""Enough to fill every window."""
TIMES = 20
SHARDS = ("--max-shard-samples", 200)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return two datasets of the same images, the second with 20 times the rows."""
    some, found = jpegs(200), []
    for rows in (ROWS, ROWS * TIMES):
        folder = tmp_path_factory.mktemp(f"rows{rows}")
        images = some * (rows // len(some))
        files = rows // ROWS
        write_parquet_dataset(
            folder, images=images, row_group_size=200, files=files, use_dictionary=False
        )
        found.append(folder)
    return found


def assert_flat(peaks):
    few, many = peaks
    assert few > 40e6, "the processes were not seen"
    assert many < few * 1.1, f"{few / 1e6:.1f} MB became {many / 1e6:.1f} MB"


def convert_command(source, out, *arguments):
    return [COMMAND, "convert", source, out, "--progress", "none", *SHARDS, *arguments]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--workers", 2, "--step", "resize=24"),
        ("--workers", 2, "--engine", "processes", "--step", "resize=24"),
        ("--workers", 0, "--key-column", "caption"),
    ],
    ids=["threads", "processes", "in the process"],
)
def test_memory_is_flat_over_parquet(folders, tmp_path, arguments):
    assert_flat(
        [
            peak_bytes(convert_command(folder, tmp_path / str(number), *arguments))
            for number, folder in enumerate(folders)
        ]
    )


SHRINKS = """
def shrink(batch):
    batch["image"] = [image.resize((64, 64)) for image in batch["image"]]
    return batch
"""


def test_memory_of_a_batch_function_is_bounded_over_large_photos(tmp_path):
    (tmp_path / "shrink.py").write_text(SHRINKS)
    photos = tmp_path / "photos"
    photos.mkdir()
    photo("coffee").resize((4000, 3000)).save(photos / "0.jpg")
    for number in range(1, 24):
        (photos / f"{number}.jpg").hardlink_to(photos / "0.jpg")
    function = f"{tmp_path / 'shrink.py'}:shrink"
    words = ("--workers", 1, "--transform", function, "--batch-memory", "70MB")
    # Two photos of 36 MB, as arrays and PIL images, in the worker that finds the columns and in
    # the one that converts: 400 to 800 MB with both processes. All photos at once take 2.2 GB.
    assert peak_bytes(convert_command(photos, tmp_path / "out", *words)) < 1000e6


GENERATOR = """
import sys
from support.corpora import jpegs
import wdsremux

IMAGES = jpegs(200)

def rows(count):
    for i in range(count):
        yield {"image": IMAGES[i % 200], "label": i % 3, "text": f"row {i}"}

if __name__ == "__main__":
    wdsremux.convert(
        rows(int(sys.argv[1])), sys.argv[2], workers=2, steps=["resize=24"], max_shard_samples=200
    )
"""


def test_memory_is_flat_over_a_generator(tmp_path):
    script = tmp_path / "generator.py"
    script.write_text(GENERATOR)
    env = {"PYTHONPATH": next(path for path in sys.path if path.endswith("tests"))}
    assert_flat(
        [
            peak_bytes([sys.executable, script, rows, tmp_path / str(rows)], env)
            for rows in (ROWS, ROWS * TIMES)
        ]
    )
