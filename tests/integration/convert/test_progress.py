"""--progress: a bar on a terminal, lines elsewhere, JSON for programs, nothing when asked."""

import json
import re

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.runs import wdsremux
from support.terminal import on_a_terminal

pytestmark = pytest.mark.integration

FIELDS = re.compile(
    r"(?P<done>\d+) of (?P<all>\d+) rows, (?P<rate>[\d.]+) images/s, "
    r"(?:shard (?P<shard>\d+) of ~\d+|(?P<shards>\d+) shards), (?P<rejected>\d+) rejected"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    images = jpegs(600)
    images[5] = b"broken"
    folder = tmp_path_factory.mktemp("corpus")
    return write_parquet_dataset(folder, images=images, row_group_size=50).folder


SLOW = """
import time

def slow(image):
    time.sleep(0.005)
    return image
"""


@pytest.fixture
def arguments(source, tmp_path):
    """Return a command that takes long enough to be watched."""
    (tmp_path / "slow.py").write_text(SLOW)
    function = ["--transform", f"{tmp_path}/slow.py:slow", "--transform-mode", "image"]
    out = ["--max-shard-samples", "100", "--batch-size", "20", "--workers", "0"]
    return ["convert", str(source), str(tmp_path / "out"), *function, *out]


@pytest.mark.parametrize("flag", [[], ["--progress", "bar"]], ids=["auto", "bar"])
def test_a_terminal_gets_a_bar_with_every_figure(arguments, flag):
    code, shown = on_a_terminal([*arguments, *flag], columns=140)
    assert code == 0, shown
    seen = [match.groupdict() for match in FIELDS.finditer(shown)]
    assert seen, shown
    last = seen[-1]
    assert (last["done"], last["all"], last["rejected"]) == ("600", "600", "1")
    assert int(last["shards"] or last["shard"]) >= 5
    assert float(last["rate"]) > 0
    assert len({match["done"] for match in seen}) > 1
    assert "599 samples of 600 rows" in shown


def test_a_terminal_that_does_not_know_its_width_gets_a_bar_too(arguments):
    code, shown = on_a_terminal(arguments, columns=0)
    assert code == 0, shown
    assert "600 of 600 rows" in shown
    assert "images/s" in shown


def test_a_log_gets_lines_and_no_bar(arguments):
    done = wdsremux(*arguments)
    assert done.returncode == 0
    assert "converting 600 rows in this process" in done.stderr
    assert "\r" not in done.stderr
    assert "599 samples of 600 rows in 6 shards" in done.stdout
    assert "1 rejected" in done.stdout


def test_json_is_an_object_a_line_with_every_figure(arguments):
    done = wdsremux(*arguments, "--progress", "json")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["event"] for event in events].count("shard") == 6
    assert "progress" in {event["event"] for event in events}
    last = events[-1]
    assert last["event"] == "done"
    assert (last["rows"], last["samples"], last["rejected"]) == (600, 599, 1)
    for event in events:
        if event["event"] in ("progress", "done"):
            figures = {"images_per_s", "mb_per_s", "shards", "rejected", "eta_s"}
            assert figures <= set(event)


def test_none_is_silent(arguments):
    done = wdsremux(*arguments, "--progress", "none")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_run_stopped_by_an_error_resumes(arguments):
    first = wdsremux(*arguments, "--progress", "none", "--on-error", "fail")
    assert first.returncode == 6
    done = wdsremux(*arguments, "--progress", "log")
    assert done.returncode == 0
    assert "599 samples of 600 rows" in done.stdout


def test_a_note_on_the_source_is_shown_once(tmp_path):
    (tmp_path / "pics" / "cat").mkdir(parents=True)
    (tmp_path / "pics" / "cat" / "0.jpg").write_bytes(jpegs(1)[0])
    (tmp_path / "pics" / "notes.txt").write_text("x")
    done = wdsremux("convert", tmp_path / "pics", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "1 file left out" in done.stderr
    assert "left out" not in done.stdout
