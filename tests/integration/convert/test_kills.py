"""kill -9 at random moments, by the harness that anyone can run: the bytes of an undisturbed run."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.mixing import MIX
from support.runs import step_options

pytestmark = pytest.mark.integration

HARNESS = Path(__file__).parents[3] / "tools" / "kill_harness.py"
STEPS = step_options("random-resized-crop=24", "hflip")


def harness(folder, *arguments, kills, source=None, seed=1, code=0):
    """Run the harness; return what it says."""
    options = ["--kills", kills, "--seed", seed, "--folder", folder]
    options += ["--source", source] if source is not None else ["--command"]
    command = [sys.executable, HARNESS, *options, "--", *arguments]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return a dataset with broken images."""
    images = jpegs(300)
    images[7] = images[133] = b"broken"
    return write_parquet_dataset(
        tmp_path_factory.mktemp("corpus"), images=images, row_group_size=32
    ).folder


def test_killed_25_times_at_random_the_command_finishes_with_the_same_bytes(source, tmp_path):
    arguments = (*STEPS, "--max-shard-samples", 40, "--workers", 2, "--engine", "threads")
    said = harness(tmp_path, *arguments, kills=25, source=source)
    assert "25 kills (seed 1): " in said


def test_it_holds_for_worker_processes_copies_and_keys(source, tmp_path):
    (tmp_path / "mixing.py").write_text(MIX)
    arguments = ("--transform", f"{tmp_path}/mixing.py:mix", "--batch-size", 16, "--copies", 2)
    arguments += ("--key-column", "caption", "--max-shard-samples", 60, "--workers", 2)
    assert "4 kills" in harness(tmp_path / "work", *arguments, kills=4, source=source)


def test_it_holds_for_a_source_on_the_hub(hub, tmp_path):
    repo, folder = hub.new_repo()
    write_parquet_dataset(folder, rows=200, row_group_size=32)
    arguments = (*STEPS, "--max-shard-samples", 40, "--workers", 2, "--engine", "threads")
    assert "2 kills" in harness(tmp_path, *arguments, kills=2, source=repo)


WRITES_IN_PLACE = """
import pathlib, sys, time

out = pathlib.Path(sys.argv[1])
out.mkdir(exist_ok=True)
for number in range(20):
    with (out / f"train-{number:06d}.tar").open("wb", buffering=0) as shard:
        for _ in range(10):
            shard.write(bytes(512))
            time.sleep(0.002)
"""


def test_the_harness_finds_a_half_written_file(tmp_path):
    (tmp_path / "writer.py").write_text(WRITES_IN_PLACE)
    command = (sys.executable, tmp_path / "writer.py", "{out}")
    said = harness(tmp_path / "work", *command, kills=50, code=1)
    assert "FAILED (seed 1): train-0000" in said
    assert ".tar is not whole after kill" in said


LEAVES_ITS_NOTES = """
import os, pathlib, sys, time

out = pathlib.Path(sys.argv[1])
out.mkdir(exist_ok=True)
notes = out / f".notes.{os.getpid()}.wdsremux-tmp"
notes.touch()
for number in range(20):
    (out / f"train-{number:06d}.tar").touch()
    time.sleep(0.01)
notes.unlink()
"""


def test_the_harness_finds_leftovers_of_a_killed_run(tmp_path):
    (tmp_path / "writer.py").write_text(LEAVES_ITS_NOTES)
    command = (sys.executable, tmp_path / "writer.py", "{out}")
    said = harness(tmp_path / "work", *command, kills=50, code=1)
    assert "extra ['.notes." in said
