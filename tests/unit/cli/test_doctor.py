"""What doctor finds, and what it keeps to itself."""

import errno
import json
import re
import tomllib
from pathlib import Path

import pytest

from wdsremux.cli import doctor as diagnosing
from wdsremux.cli.doctor import LIBRARIES, OPTIONS, diagnose
from wdsremux.core.errors import TransformError


@pytest.fixture
def no_worker(monkeypatch):
    """Spare the start of a worker process."""
    monkeypatch.setattr(diagnosing, "_process_engine", lambda: "ready")


def without(monkeypatch, *names):
    """Make distributions look as if they were not installed."""
    real = diagnosing._version
    monkeypatch.setattr(diagnosing, "_version", lambda name: None if name in names else real(name))


def test_the_machine_of_the_tests_is_healthy():
    found = diagnose()
    assert found.problems == ()
    assert found.engines["processes"].startswith("ready")
    assert found.versions["pillow"][0].isdigit()


def names_in(requirements):
    return {re.match(r"[\w-]+", line)[0] for line in requirements}


def test_every_dependency_and_every_extra_is_checked():
    project = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text())
    project = project["project"]
    optional = {option.name: option.use for option in OPTIONS}
    assert names_in(project["dependencies"]) <= {*LIBRARIES, *optional}
    for extra, requirements in project["optional-dependencies"].items():
        for name in names_in(requirements):
            assert name in optional
            assert f"pip install {name}" in optional[name], extra


@pytest.mark.usefixtures("no_worker")
def test_a_missing_library_for_reading_shards_is_not_a_problem(monkeypatch):
    without(monkeypatch, "webdataset")
    found = diagnose()
    assert found.problems == ()
    assert any("webdataset" in line and "pip install" in line for line in found.lines({}))


@pytest.mark.usefixtures("no_worker")
def test_a_missing_library_is_a_problem_that_names_the_remedy(monkeypatch):
    without(monkeypatch, "simplejpeg")
    found = diagnose()
    assert found.versions["simplejpeg"] == "missing"
    assert found.problems == ("simplejpeg is missing: pip install simplejpeg",)


@pytest.mark.usefixtures("no_worker")
def test_a_missing_optional_part_is_not_a_problem(monkeypatch):
    without(monkeypatch, *(option.name for option in OPTIONS))
    found = diagnose()
    assert found.problems == ()
    assert set(found.options.values()) == {None}
    text = "\n".join(found.lines({}))
    assert all(option.use in text for option in OPTIONS)


def test_a_worker_process_that_cannot_start_is_a_problem(monkeypatch):
    def refuse(*_given):
        raise TransformError("cannot start a worker process: no more processes")

    monkeypatch.setattr("wdsremux.processing.engines.processes.ProcessEngine.map", refuse)
    (problem,) = diagnose().problems
    assert problem.startswith("engine processes: ")
    assert "no more processes" in problem


@pytest.mark.usefixtures("no_worker")
def test_a_token_is_detected_and_never_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_the_secret")
    found = diagnose()
    assert found.hub_login == "found"
    assert found.to_json()["hub_token"]
    shown = json.dumps(found.to_json()) + "\n".join(found.lines({}))
    assert "secret" not in shown


@pytest.mark.usefixtures("no_worker")
def test_a_token_that_may_not_be_read_is_named(monkeypatch):
    def refuse():
        raise PermissionError(errno.EACCES, "Permission denied", "/home/another/token")

    monkeypatch.setattr("huggingface_hub.get_token", refuse)
    found = diagnose()
    assert "cannot be read from '/home/another/token'" in found.hub_login
    assert not found.to_json()["hub_token"]


@pytest.mark.usefixtures("no_worker")
def test_the_lines_have_two_columns():
    found = diagnose()
    lines = found.lines({"free space": "1 GB"})
    place = lines[-1].index("1 GB")
    assert all(line[place - 1] == " " and line[place] != " " for line in lines)
