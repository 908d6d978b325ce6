"""The commands bench and doctor, and convert --dry-run, as installed."""

import json

import pytest
from support.corpora import jpeg, write_parquet_dataset
from support.runs import step_options, wdsremux

pytestmark = pytest.mark.integration

STEPS = step_options("random-resized-crop=24", "hflip")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_parquet_dataset(tmp_path_factory.mktemp("corpus"), rows=60).folder


def test_bench_shows_speed_time_and_size(source, tmp_path):
    env = {"TMPDIR": str(tmp_path)}
    arguments = (source, *STEPS, "--workers", 2, "--seconds", 1)
    done = wdsremux("bench", *arguments, "--json", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["conversion"]["rows"] == 60
    assert found["conversion"]["engine"] == "threads"
    assert set(found["one_worker"]["ms_per_image"]) >= {"read", "decode", "encode"}
    assert found["loading"]["shards_images_per_s"] > 0
    reported = wdsremux("bench", *arguments, env=env).stdout
    assert "one core: " in reported
    assert "loading to pixels: " in reported
    assert list(tmp_path.iterdir()) == []


def test_bench_counts_rejected_rows_and_does_not_stop(tmp_path):
    images = [jpeg(0), b"no image", *(jpeg(i) for i in range(2, 20))]
    source = write_parquet_dataset(tmp_path / "in", images=images, row_group_size=20).folder
    done = wdsremux("bench", source, "--workers", 1, "--seconds", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert "note: 1 rejected; the first was row 1 (decode)" in done.stdout
    assert "convert stops at --max-errors 1%" in done.stdout
    done = wdsremux("bench", source, "--workers", 1, "--seconds", 1, "--max-errors", 5)
    assert "--max-errors" not in done.stdout


def test_bench_runs_a_function_in_processes(source, tmp_path):
    function = tmp_path / "aug.py"
    function.write_text(
        "def small(batch):\n"
        "    batch['image'] = [image.resize((8, 8)) for image in batch['image']]\n"
        "    return batch\n"
    )
    arguments = ("--transform", f"{function}:small", "--workers", 1, "--seconds", 1, "--json")
    done = wdsremux("bench", source, *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["conversion"]["engine"] == "processes"


def test_imports_of_a_function_are_excluded_from_rates(source, tmp_path):
    function = tmp_path / "aug.py"
    function.write_text("import time\ntime.sleep(1)\ndef same(batch):\n    return batch\n")
    arguments = (source, tmp_path / "out", "--transform", f"{function}:same", "--workers", 1)
    done = wdsremux("convert", *arguments, "--dry-run", "--progress", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["measured"]["start_seconds"] >= 1
    assert found["seconds"] >= 1
    assert "1 process, after " in wdsremux("convert", *arguments, "--dry-run").stdout


def test_bench_of_a_wrong_option_is_a_usage_error(source):
    done = wdsremux("bench", source, "--step", "resise=3")
    assert done.returncode == 2
    assert "resise" in done.stderr


def test_a_dry_run_estimates_and_writes_nothing(source, tmp_path):
    out = tmp_path / "out"
    done = wdsremux("convert", source, out, *STEPS, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "60 rows; measured on the first 60" in done.stdout
    assert "1 shard" in done.stdout
    assert "nothing was written" in done.stdout
    done = wdsremux("convert", source, out, "--dry-run", "--progress", "json")
    found = json.loads(done.stdout)
    assert (found["rows"], found["shards"]) == (60, 1)
    assert found["free_bytes"] > 0
    assert list(tmp_path.iterdir()) == []


def test_doctor_finds_a_healthy_machine(tmp_path):
    done = wdsremux("doctor", tmp_path, env={"HF_TOKEN": "hf_the_secret"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "resampler" in done.stdout
    assert "free space" in done.stdout
    found = json.loads(wdsremux("doctor", "--json").stdout)
    assert found["problems"] == []
    assert "secret" not in done.stdout


def test_doctor_survives_an_impossible_folder():
    done = wdsremux("doctor", "a" * 300)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"unknown at {'a' * 300}\n" in done.stdout
