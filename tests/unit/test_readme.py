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
    agreed = {"wdsremux", "tests", "tools", "pyproject.toml", "Makefile", "README.md", "LICENSE"}
    names = {name for name in top_level() if not name.startswith(".")}
    assert names == agreed | {"CHANGELOG.md"}


def top_level():
    """Return what was committed, or, in an unpacked sdist, what lies there but for what is made."""
    if not (ROOT / ".git").exists():
        made = {"PKG-INFO", "out", "dist", "build", "wdsremux.egg-info"}
        return {path.name for path in ROOT.iterdir()} - made
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    return {name.split("/")[0] for name in tracked}
