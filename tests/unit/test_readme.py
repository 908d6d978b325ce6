"""The README tells what the code does: its tables are made from the code."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_readme_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "tools/readme_tables.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_top_level_holds_what_was_agreed_and_nothing_else():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    names = {name.split("/")[0] for name in tracked}
    agreed = {"wdsremux", "tests", "tools", "pyproject.toml", "Makefile", "README.md", "LICENSE"}
    assert {name for name in names if not name.startswith(".")} == agreed | {"CHANGELOG.md"}
