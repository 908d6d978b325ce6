"""A resumed conversion continues with the same function, and names the module that has changed."""

import sys

import pytest

import wdsremux
from wdsremux.core.errors import RecipeMismatchError


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "aug.py").write_text(
        "import measures_of_mine\n\ndef cut(image):\n"
        "    return image.resize((measures_of_mine.SIZE,) * 2)\n"
    )
    (tmp_path / "measures_of_mine.py").write_text("SIZE = 16\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("measures_of_mine", None)


def convert(folder, limit=8):
    sys.modules.pop("measures_of_mine", None)
    return wdsremux.convert(
        "demo:", folder / "out", transform="aug.py:cut", transform_mode="image", limit=limit,
        workers=0, progress="none",
    )  # fmt: skip


def test_a_comment_does_not_stop_a_run_from_being_resumed(project):
    fingerprint = convert(project).head.fingerprint
    for name in ("aug.py", "measures_of_mine.py"):
        with (project / name).open("a") as file:
            file.write("# a comment\n")
    assert convert(project).head.fingerprint == fingerprint


def test_a_changed_helper_is_refused_by_its_name(project):
    convert(project)
    (project / "measures_of_mine.py").write_text("SIZE = 32\n")
    match = r"'measures_of_mine', which your function 'cut' imports, has changed since"
    with pytest.raises(RecipeMismatchError, match=match):
        convert(project)
