"""The package keeps its layout: eleven packages at the top, no file too long, short files explained."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "cli",
    "converting",
    "core",
    "dataset",
    "processing",
    "repairing",
    "sources",
    "stores",
    "syncing",
    "transforms",
    "verifying",
}
MODULES = {"__init__.py", "__main__.py", "py.typed"}
MIN_LINES = 60
MAX_LINES = 400


def test_the_top_of_the_package_holds_only_packages():
    found = {path.name for path in (ROOT / "wdsremux").iterdir() if path.name != "__pycache__"}
    assert found == PACKAGES | MODULES


@pytest.mark.parametrize("folder", ["wdsremux", "tests", "tools"])
def test_no_file_is_too_long(folder):
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    assert lines
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_short_modules_say_why_they_are_short():
    unexplained = []
    for path in (ROOT / "wdsremux").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        is_short = path.name != "__init__.py" and len(source.splitlines()) < MIN_LINES
        reason = " ".join((ast.get_docstring(ast.parse(source)) or "").split())
        if is_short and "Short because" not in reason:
            unexplained.append(path.relative_to(ROOT).as_posix())
    assert unexplained == []
