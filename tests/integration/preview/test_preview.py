"""`preview` and `report` show what `convert` packs."""

import base64
import re

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.forked_runs import convert, wdsremux
from support.runs import samples

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STEPS = ("--step", "random-resized-crop=24", "--step", "hflip", "--copies", 2)
FUNCTION = """
def darker(batch):
    batch["image"] = [image.point(lambda v: v // 2) for image in batch["image"]]
    assert len(batch["image"]) in (8, 4), len(batch["image"])
    return batch
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    images = jpegs(60)
    images[30] = images[30][:300]
    return write_parquet_dataset(tmp_path_factory.mktemp("source"), images=images).folder


def shown_images(page):
    """Return the images of a page by what they are, in order."""
    figures = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)"', page)
    return [(what, base64.b64decode(data)) for data, what in figures]


def preview(folder, *arguments):
    done = wdsremux("preview", *arguments, "--out", folder / "sheet.html")
    assert done.returncode == 0, done.stderr
    return (folder / "sheet.html").read_text()


def test_the_images_are_those_that_convert_packs(source, tmp_path):
    page = preview(tmp_path, source, "--n", 12, *STEPS)
    convert(source, tmp_path / "out", *STEPS, "--max-errors", "10%")
    packed = {sample["jpg"] for sample in samples(tmp_path / "out")}
    shown = [data for what, data in shown_images(page) if what.startswith("copy")]
    assert len(shown) == 22
    assert set(shown) <= packed
    assert len(re.findall(r"crop \d+ × \d+ at \d+, \d+", page)) > 15
    # Row 30 is the only one that is rejected.
    assert page.count("rejected (decode)") == 1


def test_a_batch_function_gets_the_batches_that_convert_gives_it(source, tmp_path):
    (tmp_path / "darker.py").write_text(FUNCTION)
    function = ("--transform", f"{tmp_path}/darker.py:darker", "--batch-size", 8)
    page = preview(tmp_path, source, "--n", 9, *function, "--split", "train[:28]")
    convert(source, tmp_path / "out", *function, "--split", "train[:28]")
    packed = {sample["jpg"] for sample in samples(tmp_path / "out")}
    shown = [data for what, data in shown_images(page) if what == "packed"]
    assert len(shown) >= 9
    assert set(shown) <= packed
    assert page.count("your function") == len(shown)


def test_an_output_is_shown_with_its_copies_side_by_side(source, tmp_path):
    convert(source, tmp_path / "out", *STEPS, "--max-errors", "10%", "--max-shard-samples", 20)
    page = preview(tmp_path, tmp_path / "out", "--n", 5)
    assert [what for what, _ in shown_images(page)] == ["copy 0", "copy 1"] * 5


def test_a_picture_is_written_by_its_extension(source, tmp_path):
    done = wdsremux("preview", source, "--n", 2, "--out", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    done = wdsremux("preview", source, "--out", tmp_path / "sheet.pdf")
    assert done.returncode == 2
    assert "write a file name that ends in .html or .png" in done.stderr


def test_a_report_counts_classes_and_shows_rejected_rows(source, tmp_path):
    convert(source, tmp_path / "out", *STEPS, "--max-errors", "10%")
    done = wdsremux("report", tmp_path / "out", "--out", tmp_path / "r.html", "--source", source)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "r.html").read_text()
    bars = re.findall(r"<g><title>[^<]+: (\d+)</title>", page)
    assert sum(map(int, bars)) == 118
    assert "Rejected: 2<" in page
    assert "2 × decode: " in page
    assert "(row 30)" in page
    assert "random-resized-crop=24" in page


def test_a_report_opens_no_source_that_only_the_output_names(source, tmp_path):
    convert(source, tmp_path / "out", *STEPS, "--max-errors", "10%")
    done = wdsremux("report", tmp_path / "out", "--out", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "r.html").read_text()
    assert shown_images(page) == []
    assert "--source SOURCE" in page
