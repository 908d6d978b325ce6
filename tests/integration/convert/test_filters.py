"""Rows that the user does not want are left out, listed, and no errors."""

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.forked_runs import convert, wdsremux
from support.runs import entries, manifest, rejected, tree

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STEPS = ("--step", "resize=16", "--max-shard-samples", 7)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_parquet_dataset(tmp_path_factory.mktemp("source"), images=jpegs(40)).folder


def labels(out):
    return [entry["label"] for entry in entries(out)]


def test_rows_that_do_not_meet_the_condition_are_listed_and_not_counted_as_errors(source, tmp_path):
    convert(source, tmp_path / "all", *STEPS)
    wanted = [label for label in labels(tmp_path / "all") if label in (0, 2)]
    convert(source, tmp_path / "out", *STEPS, "--where", "label in [0, 2]", "--max-errors", 0)
    totals = manifest(tmp_path / "out")["totals"]
    assert (totals["samples"], totals["rejected"]) == (len(wanted), 0)
    assert totals["filtered"] == 40 - len(wanted)
    assert f"0 rejected, {40 - len(wanted)} filtered" in wdsremux("show", tmp_path / "out").stdout
    assert "| split | samples | rejected | filtered |" in (tmp_path / "out/README.md").read_text()
    assert labels(tmp_path / "out") == wanted
    left = rejected(tmp_path / "out")
    assert {item["stage"] for item in left} == {"filter"}
    assert {item["reason"] for item in left} == {"not --where label in [0, 2]"}
    assert len(left) + len(wanted) == 40
    assert wdsremux("verify", tmp_path / "out", "--depth", "pixels").returncode == 0


def test_a_column_that_is_only_tested_is_not_packed(source, tmp_path):
    where = ("--extra-columns", "", "--label-column", "", "--where", "label == 1")
    convert(source, tmp_path / "out", *STEPS, *where)
    assert "label" not in entries(tmp_path / "out")[0]
    assert 0 < len(entries(tmp_path / "out")) < 40


def test_the_bytes_do_not_depend_on_the_workers_and_repair_makes_them_again(source, tmp_path):
    where = ("--where", "label != 1", "--max-aspect", 1.5, "--min-size", 20, "--copies", 2)
    convert(source, tmp_path / "one", *STEPS, *where, "--workers", 0)
    convert(source, tmp_path / "two", *STEPS, *where, "--workers", 2, "--engine", "processes")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    shard = next((tmp_path / "two").glob("*.tar"))
    shard.unlink()
    done = wdsremux("repair", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_another_condition_is_another_recipe(source, tmp_path):
    convert(source, tmp_path / "out", *STEPS, "--where", "label != 1")
    done = convert(source, tmp_path / "out", *STEPS, "--where", "label != 2", code=7)
    assert "where" in done.stderr
    assert "where" not in manifest(convert_all(source, tmp_path))["recipe"]


def convert_all(source, tmp_path):
    convert(source, tmp_path / "all", *STEPS)
    return tmp_path / "all"


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("--where", "colour == 3", "colour"),
        ("--where", "__import__('os')", "write a condition such as"),
        ("--where", "label == 'no such class'", "has no class"),
        ("--min-size", 0, "--min-size"),
        ("--max-aspect", 0.5, "write a ratio"),
    ],
)
def test_a_wrong_filter_ends_the_run_before_it_begins(source, tmp_path, option, value, part):
    done = convert(source, tmp_path / "out", option, value, code=2)
    assert part in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_filter_that_keeps_nothing_says_so(source, tmp_path):
    done = convert(source, tmp_path / "out", "--min-size", 5000, code=6)
    assert "every row was filtered" in done.stderr
    assert "smaller than --min-size 5000" in done.stderr
