"""The benchmarks' harness runs and its results have their fields; what it measures is not judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 280


def tool(name, *arguments):
    """Run one of tools/bench to its end and return what it printed."""
    command = [sys.executable, str(ROOT / "tools" / "bench" / name), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "corpus"
    tool("make_corpus.py", "--out", folder, "--images", 16, "--only", "inet,hires")
    return folder


@pytest.fixture(scope="module")
def results(corpus):
    file = corpus.parent / "results.json"
    tool("run.py", "--smoke", "--corpus", corpus, "--out", file)
    return file


def assert_summary(figure):
    assert figure["min"] <= figure["median"] <= figure["max"]
    assert len(figure["values"]) >= 1


def test_the_same_seed_makes_the_same_corpus(corpus, tmp_path):
    tool("make_corpus.py", "--out", tmp_path, "--images", 16, "--only", "inet")
    made = sorted((tmp_path / "inet" / "data").iterdir())
    assert made
    for file in made:
        assert file.read_bytes() == (corpus / "inet" / "data" / file.name).read_bytes()


def test_a_run_says_what_it_was_measured_on(results):
    found = json.loads(results.read_text())
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["here"]["pillow"]
    assert found["rounds"] == 1
    assert all("WORK" in entry["command"] for entry in found["races"][0]["results"][:1])
    assert not (results.parent / "work").exists()


def test_contestants_are_measured_or_say_why_not(results):
    race, with_function = json.loads(results.read_text())["races"]
    entries = {entry["name"]: entry for entry in race["results"]}
    measured = {"wdsremux_threads", "wdsremux_processes", "naive_webdataset"}
    assert set(entries) == {*measured, "img2dataset_local", "limit"}
    assert race["images"] == 16
    for name in measured:
        assert entries[name]["status"] == "measured"
        for field in ("wall_s", "images_per_s", "cpu_s_per_1000", "peak_pss_mb"):
            assert_summary(entries[name][field])
        assert entries[name]["output_mb"] > 0
    (entry,) = with_function["results"]
    assert (entry["name"], entry["status"]) == ("wdsremux_processes", "measured")
    assert entries["limit"]["status"].split(":")[0] in ("measured", "not built")
    assert entries["img2dataset_local"]["status"].split(":")[0] in ("measured", "not installed")


def test_every_case_gives_a_value_and_its_figures(results):
    cases = {case["name"]: case for case in json.loads(results.read_text())["cases"]}
    assert set(cases) == {
        "copies", "passthrough", "verify", "start_up", "first_image", "hand_over", "hub",
        "quality", "memory",
    }  # fmt: skip
    for case in cases.values():
        assert isinstance(case["value"], float)
        assert case["title"]
        assert case["wanted"]
        for figure in case["figures"].values():
            assert_summary(figure)


def test_the_report_goes_into_the_readme_with_its_chart(results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench -->\nold\n<!-- bench end -->\nafter\n")
    chart = tmp_path / "pictures" / "chart.png"
    tool("report.py", results, "--chart", chart, "--readme", readme)
    text = readme.read_text()
    assert text.startswith("before\n<!-- bench -->\n")
    assert text.endswith("<!-- bench end -->\nafter\n")
    assert "old" not in text
    assert "![images per second](pictures/chart.png)" in text
    assert "| wdsremux, threads |" in text
    assert chart.read_bytes().startswith(b"\x89PNG")
