"""The identity of a function: what its source means, and every own module that it imports."""

import sys
import types

import pytest

from wdsremux.core.errors import TransformError
from wdsremux.transforms.function.fingerprint import fingerprint_of_callable
from wdsremux.transforms.function.source_hash import own_modules, source_sha256
from wdsremux.transforms.function.spec import function_from_text

SOURCE = b'''
"""What it does."""
SIZE = 100
def augment(batch):
    """Resize."""
    return {"image": [each.resize((SIZE, SIZE)) for each in batch["image"]]}
'''


@pytest.mark.parametrize(
    "same",
    [
        SOURCE.replace(b"\n", b"\r\n"),
        b"# by me" + SOURCE,
        SOURCE.replace(b'"""Resize."""', b'"""Other words."""'),
        SOURCE.replace(b'    """Resize."""\n', b"").replace(b'"""What it does."""', b""),
        SOURCE.replace(b"(SIZE, SIZE)", b"(\n        SIZE,  # width\n        SIZE,\n    )"),
        SOURCE.replace(b'"image"', b"'image'"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(same):
    assert source_sha256(same) == source_sha256(SOURCE)


@pytest.mark.parametrize(
    "other",
    [
        SOURCE.replace(b"100", b"200"),
        SOURCE.replace(b"100", b"100.0"),
        SOURCE.replace(b"100", b"'100'"),
        SOURCE.replace(b"(SIZE, SIZE)", b"(SIZE, 50)"),
        SOURCE.replace(b"SIZE = 100", b"SIZE: int = 100"),
        SOURCE.replace(b"batch)", b"batch=None)"),
        SOURCE + b"    return None\n",
        SOURCE + b"not Python",
    ],
)
def test_everything_else_counts(other):
    assert source_sha256(other) != source_sha256(SOURCE)


def test_a_docstring_alone_is_not_an_empty_difference():
    assert source_sha256(b"x = None") != source_sha256(b"x = 0")
    assert source_sha256(b"'a'\n'b'") != source_sha256(b"'a'")


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in {
        "aug.py": "import os, numpy, helper\nfrom pack import inner\nf = helper.f\n",
        "helper.py": "def f(batch):\n    import lazy\n    return batch\n",
        "lazy.py": "SIZE = 100\n",
        "unused.py": "",
        "pack/__init__.py": "",
        "pack/inner.py": "from . import sibling\nfrom .deep.leaf import X\n",
        "pack/sibling.py": "y = 2\n",
        "pack/deep/leaf.py": "X = 1\nfrom ..sibling import y\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


IMPORTED = ["helper", "lazy", "pack", "pack.deep.leaf", "pack.inner", "pack.sibling"]


def test_only_own_modules_are_found_recursively(project):
    found = own_modules(project / "aug.py", [str(project)])
    assert [each.name for each in found] == IMPORTED


def test_a_change_in_an_imported_module_changes_the_function_and_a_comment_does_not(project):
    before = function_from_text("aug.py:f").fingerprint()
    (project / "lazy.py").write_text("SIZE = 100  # pixels\n")
    assert function_from_text("aug.py:f").fingerprint() == before
    (project / "lazy.py").write_text("SIZE = 200\n")
    after = function_from_text("aug.py:f").fingerprint()
    assert after["sha256"] == before["sha256"]
    changed = {name for name in IMPORTED if after["modules"][name] != before["modules"][name]}
    assert changed == {"lazy"}


def test_a_module_that_is_changed_during_the_run_is_refused(project):
    spec = function_from_text("aug.py:f")
    (project / "lazy.py").write_text("SIZE = 200\n")
    with pytest.raises(TransformError, match="lazy was changed during the run"):
        spec.load()


def test_a_module_that_is_loaded_with_its_old_source_is_refused(project):
    function_from_text("aug.py:f").load()
    (project / "helper.py").write_text("def f(batch):\n    return None\n")
    with pytest.raises(TransformError, match="module 'helper' has changed since it was imported"):
        function_from_text("aug.py:f").load()


def test_a_function_object_counts_with_the_own_modules_it_names(project):
    module = types.ModuleType("helper")
    module.__file__ = str(project / "helper.py")

    def made():
        names = {"helper": module}
        exec("def work(batch):\n    return helper.f(batch)", names)  # noqa: S102 (our own code)
        return fingerprint_of_callable(names["work"]).sha256

    before = made()
    assert made() == before
    (project / "lazy.py").write_text("SIZE = 200\n")
    assert made() != before
