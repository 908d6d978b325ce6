import shutil
import subprocess
import sys

import pytest

from wdsremux.core.errors import UsageError
from wdsremux.transforms.kernel import choice
from wdsremux.transforms.kernel.choice import chosen_kernel, kernel_of, recorded_as

HEADER = "#include <stdio.h>\n#include <jpeglib.h>\nint v = LIBJPEG_TURBO_VERSION_NUMBER;\n"


@pytest.fixture
def built(monkeypatch):
    """Return a function that makes the extension one that is built, or not."""

    class Extension:
        LIBJPEG_TURBO = "3.1.2"

    def pretend(*, is_built):
        monkeypatch.setattr(choice, "extension", lambda: Extension if is_built else None)

    return pretend


@pytest.mark.parametrize(
    ("wanted", "is_built", "chosen"),
    [
        ("auto", True, "native"),
        ("auto", False, "portable"),
        ("native", True, "native"),
        ("portable", True, "portable"),
        ("portable", False, "portable"),
    ],
)
def test_auto_selects_the_native_kernel_where_it_is_built(wanted, is_built, chosen, built):
    built(is_built=is_built)
    assert chosen_kernel(wanted) == chosen


def test_the_native_kernel_is_refused_where_it_is_not_built(built):
    built(is_built=False)
    with pytest.raises(UsageError, match="--kernel native: it is not built here; install a C"):
        chosen_kernel("native")
    with pytest.raises(UsageError, match="the native kernel is not built here"):
        recorded_as("native")


def test_a_record_names_the_kernel_and_its_libjpeg(built):
    built(is_built=True)
    assert recorded_as("native") == "native 1 (libjpeg-turbo 3.1.2)"
    assert recorded_as("portable") == "portable"


@pytest.mark.parametrize(
    ("recorded", "kernel"),
    [("native 1 (libjpeg-turbo 3.1.2)", "native"), ("portable", "portable"), (None, "portable")],
)
def test_a_record_restores_the_kernel(recorded, kernel):
    assert kernel_of(recorded) == kernel


def test_the_extension_is_none_where_it_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "wdsremux.transforms.kernel._native", None)
    assert choice.extension() is None


def test_it_is_built_where_a_compiler_and_libjpeg_turbo_are(tmp_path):
    """Keep the tests of the native kernel from being left out where they can run."""
    source = tmp_path / "probe.c"
    source.write_text(HEADER)
    compiler = shutil.which("cc")
    command = [compiler or "cc", "-c", str(source), "-o", str(tmp_path / "probe.o")]
    can_build = (
        compiler and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
    assert not can_build or choice.extension() is not None, "reinstall it: make setup"
