"""The job files of the page `scale`: each scheduler's command makes a lane of one output."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from support.runs import COMMAND, manifest

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).parents[3] / "wdsremux/cli/pages/scale.md").read_text()
LANES = 3


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def command_with(variable):
    """Return the shell command of the page that reads the number of its lane from a variable."""
    (job,) = [yaml.safe_load(block) for block in blocks("yaml")]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-c"]
    (command,) = [text for text in (*blocks("sh"), *container["args"]) if variable in text]
    assert "/64" in command
    return command.replace("/64", f"/{LANES}")


def test_an_array_job_of_each_scheduler_makes_its_lane_and_the_last_one_the_index(tmp_path):
    variables = ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX")
    path = f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}"
    places = {"SOURCE": "demo:", "OUT": str(tmp_path / "out"), "SLURM_CPUS_PER_TASK": "1"}
    for lane, variable in enumerate(variables):
        assert not (tmp_path / "out" / "index.json").exists()
        done = subprocess.run(
            ["sh", "-c", command_with(variable)],
            env={**os.environ, **places, "PATH": path, variable: str(lane)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert manifest(tmp_path / "out")["totals"]["samples"] == 270


def test_exit_codes_that_another_attempt_does_not_change_fail_the_index():
    (job,) = [yaml.safe_load(block) for block in blocks("yaml")]
    rules = job["spec"]["podFailurePolicy"]["rules"]
    (codes,) = [rule["onExitCodes"]["values"] for rule in rules if rule["action"] == "FailIndex"]
    assert codes == [2, 4, 6, 7]
