"""The help pages, the README and the top level are what they are agreed to be."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wdsremux.cli.help import PAGES, page, topics
from wdsremux.cli.main import make_parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted(PAGES.glob("*.md"))]
README_BYTES = 14_000


def test_the_tables_of_the_pages_are_made_from_the_code():
    done = subprocess.run(
        [sys.executable, "tools/page_tables.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_is_short_enough_to_be_read():
    assert len(README.encode()) <= README_BYTES


def test_every_page_has_a_title_and_is_not_empty():
    for topic, title in topics().items():
        assert page(topic).startswith(f"# {title}\n"), topic
        assert title[:1].isupper(), topic
        assert len(page(topic)) > 200, topic


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_python_snippet_is_python(path):
    for code in blocks(path, "python"):
        ast.parse(code)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_command_that_is_named_exists_and_takes_the_options(path):
    commands = make_parser().commands()
    named = re.findall(r"wdsremux ([a-z]+)((?: [^`\n|]*)?)", path.read_text())
    shown = [(name, arguments) for name, arguments in named if name in commands]
    for name, arguments in shown:
        for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", arguments.split("#")[0]):
            assert option in commands[name].options(), f"{path.name}: {name} {option}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_page_that_is_named_exists(path):
    text = path.read_text()
    named = set(re.findall(r"wdsremux help ([a-z-]+)", text))
    assert named <= {*topics(), *make_parser().commands()}
    linked = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [link for link in linked if not (path.parent / link).exists()] == []


def test_the_top_level_holds_only_the_agreed_entries():
    agreed = {"wdsremux", "tests", "tools", "pyproject.toml", "Makefile", "README.md", "LICENSE"}
    names = {name for name in top_level() if not name.startswith(".")}
    assert names == agreed | {"CHANGELOG.md"}


def test_the_package_has_eleven_packages():
    packages = {
        "cli", "converting", "core", "dataset", "processing", "repairing", "sources", "stores",
        "syncing", "transforms", "verifying",
    }  # fmt: skip
    found = {path.name for path in (ROOT / "wdsremux").iterdir()} - {"__pycache__"}
    assert found == packages | {"__init__.py", "__main__.py", "py.typed"}


def top_level():
    """Return what was committed or, in an unpacked sdist, what is there except for what is made."""
    if not (ROOT / ".git").exists():
        made = {"PKG-INFO", "out", "dist", "build", "wdsremux.egg-info"}
        return {path.name for path in ROOT.iterdir()} - made
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    return {name.split("/")[0] for name in tracked}
