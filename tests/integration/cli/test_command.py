"""The installed command: exit codes, options, signals, locks."""

import os
import shutil
import signal
import subprocess

import pytest
from support.corpora import write_parquet_dataset
from support.runs import (
    COMMAND,
    FOUNDING,
    TIMEOUT_S,
    convert,
    entries,
    manifest,
    shards,
    step_options,
    tree,
    wdsremux,
)

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_parquet_dataset(tmp_path_factory.mktemp("corpus"), rows=60).folder


def test_the_founding_augmentation_of_the_demo(tmp_path):
    done = convert("demo:", tmp_path / "out", "--split", "all", *step_options(*FOUNDING))
    assert done.stderr == ""
    found = manifest(tmp_path / "out")
    assert found["splits"]["train"]["samples"] == 270
    assert found["splits"]["validation"]["samples"] == 30
    assert len(found["class_names"]) == 5


def test_help_lists_the_exit_codes():
    done = wdsremux("--help")
    assert done.returncode == 0
    assert "7 recipe, source or dataset differs" in done.stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("convert",), 2),
        (("convert", "no/such/folder/at/all", "out"), 3),
        (("convert", "{source}", "out", "--step", "nope"), 2),
        (("convert", "{source}", "out", "--split", "nope"), 2),
        (("convert", "{source}", "out", "--transform", "nope.py:f"), 2),
        (("convert", "{source}", "a-file"), 5),
        (("convert", "{source}", "out", "--max-shard-size", "1KB"), 2),
    ],
)
def test_each_kind_of_failure_has_its_exit_code_and_no_traceback(source, tmp_path, arguments, code):
    (tmp_path / "a-file").touch()
    done = wdsremux(*(str(word).format(source=source) for word in arguments), cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_the_finished_output_is_left_alone_by_the_same_command(source, tmp_path):
    convert(source, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}
    done = wdsremux("convert", source, tmp_path / "out")
    assert done.returncode == 0
    assert "nothing to do" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_recipe_on_the_output_is_refused_by_its_first_difference(source, tmp_path):
    convert(source, tmp_path / "out")
    before = tree(tmp_path / "out")
    done = convert(source, tmp_path / "out", "--quality", 80, code=7)
    assert "quality" in done.stderr
    assert "90" in done.stderr
    assert "80" in done.stderr
    assert tree(tmp_path / "out") == before


def test_overwrite_removes_what_we_wrote_and_nothing_else(source, tmp_path):
    out = tmp_path / "out"
    convert(source, out, "--max-shard-size", "20KB")
    (out / "mine.tar").write_bytes(b"mine")
    (out / ".wdsremux" / "mine.txt").write_bytes(b"mine")
    convert(source, out, "--overwrite")
    assert set(shards(out)) == {"train-000000.tar", "mine.tar"}
    assert (out / ".wdsremux" / "mine.txt").exists()


def test_a_folder_with_foreign_shards_is_refused(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train-000000.tar").write_bytes(b"somebody's")
    done = convert(source, tmp_path / "out", code=2)
    assert "train-000000.tar" in done.stderr
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "train-000000.tar"]


def test_flags_win_over_the_file_and_unknown_keys_are_errors(source, tmp_path):
    config = tmp_path / "recipe.toml"
    config.write_text('step = ["resize=16x16"]\nquality = 80\nmax-shard-size = "1MB"\n')
    convert(source, tmp_path / "out", "--config", config, "--quality", 70)
    recipe = manifest(tmp_path / "out")["recipe"]
    assert (recipe["quality"], recipe["max_shard_size"]) == (70, 10**6)
    assert recipe["steps"] == ["resize=16x16"]
    config.write_text("qualty = 80\n")
    done = convert(source, tmp_path / "other", "--config", config, code=2)
    assert "qualty" in done.stderr


@pytest.mark.parametrize(
    ("split", "positions"),
    [
        ("train[:10%]", range(6)),
        ("train[20:30]", range(20, 30)),
        ("train[-5:]", range(55, 60)),
    ],
)
def test_slices_keep_the_row_numbers(source, tmp_path, split, positions):
    convert(source, tmp_path / "out", "--split", split)
    assert [entry["position"] for entry in entries(tmp_path / "out")] == list(positions)


def test_limit_takes_the_first_rows(source, tmp_path):
    convert(source, tmp_path / "out", "--limit", 7)
    assert manifest(tmp_path / "out")["totals"]["rows"] == 7


SLOW = """
import pathlib, time

def slow(image):
    pathlib.Path({started!r}).touch()
    time.sleep(0.5)
    return image
"""


@pytest.fixture
def slow_run(source, tmp_path):
    """Start a conversion that takes a while, and return it once its function was called."""
    started, function = tmp_path / "started", tmp_path / "slow.py"
    function.write_text(SLOW.format(started=str(started)))
    process = subprocess.Popen(
        [
            COMMAND,
            "convert",
            str(source),
            str(tmp_path / "out"),
            "--workers",
            "2",
            "--transform",
            f"{function}:slow",
            "--transform-mode",
            "image",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not started.exists():
            assert process.poll() is None, process.stderr.read()
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_shows_the_command_that_resumes(
    slow_run, source, tmp_path, number, code
):
    slow_run.send_signal(number)
    _, errors = slow_run.communicate(timeout=10)
    assert slow_run.returncode == code
    assert f"wdsremux convert {source}" in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "out").glob(".*.wdsremux-tmp"))
    assert not (tmp_path / "out" / ".wdsremux" / "lock").exists()


def test_a_second_run_on_the_output_is_refused_by_process_and_host(slow_run, source, tmp_path):
    done = convert(source, tmp_path / "out", code=5)
    assert str(slow_run.pid) in done.stderr
    assert os.uname().nodename in done.stderr


def test_the_lock_of_a_killed_run_is_taken_over(slow_run, source, tmp_path):
    os.killpg(slow_run.pid, signal.SIGKILL)
    slow_run.communicate(timeout=TIMEOUT_S)
    assert (tmp_path / "out" / ".wdsremux" / "lock").exists()
    convert(source, tmp_path / "out", "--overwrite")
    assert not (tmp_path / "out" / ".wdsremux" / "lock").exists()


def test_after_a_run_that_died_worker_processes_take_over(slow_run, source, tmp_path):
    os.killpg(slow_run.pid, signal.SIGKILL)
    slow_run.communicate(timeout=TIMEOUT_S)
    arguments = ("--overwrite", "--progress", "log", *step_options("resize=16"))
    first = wdsremux("convert", source, tmp_path / "out", *arguments)
    second = wdsremux("convert", source, tmp_path / "out", *arguments)
    assert "processes" in first.stderr
    assert "threads" in second.stderr


def test_the_folder_of_the_source_is_refused_as_output_and_unchanged(source, tmp_path):
    convert(source, tmp_path / "out")
    before = tree(tmp_path / "out")
    for arguments in ((), ("--overwrite",)):
        done = convert(tmp_path / "out", tmp_path / "out", *arguments, code=2)
        assert "is the folder of the source" in done.stderr
        convert(f"{tmp_path}/out/train-*.tar", tmp_path / "out", *arguments, code=2)
    assert tree(tmp_path / "out") == before


def test_an_output_within_the_source_folder_is_refused(source, tmp_path):
    shutil.copytree(source, tmp_path / "data")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for given, out in (
        ("data", "data/out"),
        ("link", "data/a/b"),
        (".", "out"),
        ("data", "link/c"),
    ):
        done = convert(given, out, code=2, cwd=tmp_path)
        assert "is inside the source" in done.stderr
    file = min((tmp_path / "data").rglob("*train*.parquet"))
    convert(file, file.parent / "out", "--limit", 2)
    assert list(shards(file.parent / "out")) == ["train-000000.tar"]


@pytest.mark.parametrize(("given", "word"), [(("", "out"), "SOURCE"), (("demo:", ""), "OUT")])
def test_an_empty_argument_is_not_the_current_folder(tmp_path, given, word):
    done = convert(*given, code=2, cwd=tmp_path)
    assert f"{word} is empty" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_mistyped_path_is_announced_as_a_hub_dataset(tmp_path):
    done = wdsremux(
        "convert",
        "data/imgs",
        "out",
        "--progress",
        "log",
        cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 3
    first, *rest = done.stderr.splitlines()
    assert first == "folder 'data/imgs' not found here: asking the Hub for that dataset"
    assert "offline mode" in "".join(rest)


def test_a_split_that_is_left_out_is_reported_once(tmp_path):
    write_parquet_dataset(tmp_path / "in", rows=6)
    write_parquet_dataset(tmp_path / "in", rows=3, split="validation")
    arguments = ("convert", tmp_path / "in", tmp_path / "out", "--progress", "log")
    done = wdsremux(*arguments)
    assert done.returncode == 0, done.stderr
    assert "split left out: validation (3 rows); --split all converts every split" in done.stderr
    assert (
        "left out: validation" not in wdsremux(*arguments, "--overwrite", "--split", "all").stderr
    )
