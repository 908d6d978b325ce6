"""The package keeps its layout: eleven packages at the top, and no file that is too long."""

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
MAX_LINES = 400


def test_the_top_of_the_package_holds_the_packages_and_nothing_else():
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
