"""--max-errors and --on-error: when a run stops for bad records, and how it resumes."""

import io
import tarfile

import pytest
from support.corpora import jpeg, write_parquet_dataset
from support.forked_runs import convert
from support.runs import entries, manifest, rejected, shards

import wdsremux
from wdsremux.core.errors import CorruptDataError

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

GOOD, BAD = jpeg(1), b"no image"


def images_with(bad, rows):
    """Return that number of images, of which every fifth is bad, from row 4 on."""
    return [BAD if i % 5 == 4 and i // 5 < bad else GOOD for i in range(rows)]


def parquet(folder, bad, rows=300):
    return write_parquet_dataset(folder, images=images_with(bad, rows), row_group_size=50).folder


def tars(folder, bad, rows=300):
    """Write shards of an unknown number of rows."""
    folder.mkdir()
    with tarfile.open(folder / "train-000000.tar", "w") as tar:
        for i, image in enumerate(images_with(bad, rows)):
            info = tarfile.TarInfo(f"{i:06}.jpg")
            info.size = len(image)
            tar.addfile(info, io.BytesIO(image))
    return folder


@pytest.mark.parametrize(
    ("write", "bad", "limit", "code"),
    [
        (parquet, 3, (), 0),  # 1 % of 300
        (parquet, 4, (), 6),
        (parquet, 4, ("--max-errors", 4), 0),
        (parquet, 4, ("--max-errors", 3), 6),
        (parquet, 1, ("--max-errors", 0), 6),
        (parquet, 0, ("--max-errors", 0), 0),
        (parquet, 15, ("--max-errors", "5%"), 0),
        (parquet, 16, ("--max-errors", "5%"), 6),
        (parquet, 4, ("--limit", 100, "--max-errors", "3%"), 6),
        (tars, 3, (), 0),  # of an unknown length: judged at the end
        (tars, 4, (), 6),
        (tars, 11, (), 6),  # at once: more than 1 % of 1000
        (tars, 9, ("--max-errors", "3%"), 0),
        (tars, 10, ("--max-errors", "3%"), 6),
        (tars, 5, ("--max-errors", 4), 6),
    ],
)
def test_the_limit_is_exact_to_the_record(tmp_path, write, bad, limit, code):
    source = write(tmp_path / "in", bad)
    done = convert(source, tmp_path / "out", *limit, code=code)
    if code == 0:
        assert len(rejected(tmp_path / "out")) == bad
        assert manifest(tmp_path / "out")["totals"]["samples"] == 300 - bad
        return
    assert "--max-errors" in done.stderr
    assert "the first was row 4 (decode)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "index.json").exists()
    reported = [item["position"] for item in rejected(tmp_path / "out")]
    assert len(reported) == len(set(reported)) > 0
    assert reported[0] == 4


@pytest.mark.parametrize("limit", ["-1", "101%", "many", "1.5", ""])
def test_an_invalid_limit_is_refused(tmp_path, limit):
    source = parquet(tmp_path / "in", 0, rows=5)
    done = convert(source, tmp_path / "out", f"--max-errors={limit}", code=2)
    assert "--max-errors" in done.stderr


SMALL = ("--max-shard-samples", 100, "--workers", 1)


@pytest.mark.parametrize("write", [parquet, tars])
def test_a_stopped_run_resumes_with_a_higher_limit(tmp_path, write):
    source = write(tmp_path / "in", 300, rows=1500)
    out = tmp_path / "out"
    convert(source, out, *SMALL, "--max-errors", 200, code=6)
    kept = shards(out)
    assert kept
    convert(source, out, *SMALL, "--max-errors", 200, code=6)
    assert kept.items() <= shards(out).items()
    convert(source, out, *SMALL, "--max-errors", 300)
    convert(source, tmp_path / "undisturbed", *SMALL, "--max-errors", 300)
    assert shards(out) == shards(tmp_path / "undisturbed")
    assert kept.items() < shards(out).items()
    assert len(rejected(out)) == 300


def test_what_was_rejected_before_an_interruption_counts_as_well(tmp_path):
    source = parquet(tmp_path / "in", 300, rows=1500)
    convert(source, tmp_path / "out", *SMALL, "--max-errors", 250, code=6)
    done = convert(source, tmp_path / "out", *SMALL, "--max-errors", 299, code=6)
    assert "300 of 1500 rows" in done.stderr


def test_on_error_fail_stops_at_the_first_and_names_it(tmp_path):
    source = parquet(tmp_path / "in", 3)
    done = convert(source, tmp_path / "out", "--on-error", "fail", code=6)
    assert "row 4 (decode)" in done.stderr
    assert "no image" in done.stderr or "not an image" in done.stderr
    assert "--on-error" in done.stderr
    convert(source, tmp_path / "out", "--on-error", "skip")
    assert len(entries(tmp_path / "out")) == 297


FAILS = """
def fails(sample):
    if sample["caption"].startswith("picture 7 "):
        raise ValueError("no luck with seven")
    return sample
"""


def test_on_error_fail_names_the_line_of_the_users_function(tmp_path):
    source = parquet(tmp_path / "in", 0, rows=20)
    (tmp_path / "fails.py").write_text(FAILS)
    function = ("--transform", f"{tmp_path}/fails.py:fails", "--transform-mode", "sample")
    done = convert(source, tmp_path / "out", *function, "--on-error", "fail", code=4)
    assert "row 7 (transform)" in done.stderr
    assert "no luck with seven" in done.stderr
    assert "fails.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_row_counts_once_however_many_copies_it_has(tmp_path):
    source = parquet(tmp_path / "in", 3)
    convert(source, tmp_path / "out", "--copies", 4, "--max-errors", 3)
    totals = manifest(tmp_path / "out")["totals"]
    assert (totals["rows"], totals["samples"], totals["rejected"]) == (300, 1188, 12)


def test_the_limit_from_python(tmp_path):
    rows = [{"image": image} for image in images_with(3, 100)]
    with pytest.raises(CorruptDataError, match=r"row 4 \(decode\)") as caught:
        wdsremux.convert(rows, tmp_path / "out", max_errors=2, workers=0)
    assert caught.value.exit_code == 6
    assert wdsremux.convert(rows, tmp_path / "out", max_errors="3%", workers=0).totals.rejected == 3


def test_equal_keys_recommend_another_key_column_not_more_errors(tmp_path):
    source = parquet(tmp_path / "in", 0, rows=20)
    done = convert(source, tmp_path / "out", "--key-column", "label", "--max-errors", 5, code=6)
    assert "--key-column label has the same value in several rows" in done.stderr
    assert "choose a column with unique values" in done.stderr
    assert "raise --max-errors" not in done.stderr


def test_without_a_readable_row_more_errors_are_not_recommended(tmp_path):
    source = write_parquet_dataset(tmp_path / "in", images=[BAD] * 20, row_group_size=20).folder
    done = convert(source, tmp_path / "out", code=6)
    assert "every row failed: check --image-column" in done.stderr
    assert "raise --max-errors" not in done.stderr


def test_a_folder_for_paths_is_recommended_only_where_it_has_an_effect(tmp_path):
    source = write_parquet_dataset(tmp_path / "in", images=[BAD] * 20, row_group_size=20).folder
    assert ", --image-root" in convert(source, tmp_path / "out", code=6).stderr
    rows = [{"image": BAD}] * 20
    with pytest.raises(wdsremux.WdsremuxError, match="whether the files exist") as caught:
        wdsremux.convert(rows, tmp_path / "rows", image_column="image", workers=0)
    assert "image_root" not in str(caught.value)
