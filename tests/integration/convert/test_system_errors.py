"""Every system call on the source, the output or the function's file may fail: one line, no traceback."""

import errno
import itertools
import shutil

import pytest
from support.faulty_mount import Fault
from support.pictures import PHOTOS
from support.runs import wdsremux

pytestmark = pytest.mark.integration

CALLS = ("opendir", "readdir", "open", "read")
CHANGES = ("mkdir", "create", "write", "flush", "fsync", "rename", "unlink", "setattr")
NUMBERS = (errno.EIO, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT)
LOOKS = ("lookup", "getattr")
"""What most calls of Python begin with: these fail with every number, others with one."""


def table(*calls):
    """Return pairs of a call and what it ends with."""
    return [
        *itertools.product(LOOKS, NUMBERS),
        *((call, NUMBERS[i % 3]) for i, call in enumerate(calls)),
    ]


FUNCTION = "def same(image):\n    return image\n"


@pytest.fixture
def place(mount, request):
    folder = mount.place(request.node.name)
    folder.mkdir()
    return folder


def photos_in(folder):
    folder.mkdir()
    for name in ("astronaut", "coffee"):
        shutil.copy(PHOTOS / f"{name}.jpg", folder)
    return folder


def convert(command, source, out, *arguments):
    quiet = ("--progress", "none", "--give-up-after", "1", "--engine", "threads", "--workers", "1")
    return command.run("convert", source, out, *quiet, *arguments)


def assert_is_one_error(ended, *codes):
    """A library may turn an error into a missing file: then the run may succeed."""
    assert ended.returncode in (0, *codes), ended
    assert "Traceback" not in ended.stderr
    assert "bug" not in ended.stderr


@pytest.mark.parametrize(("call", "number"), table(*CALLS))
def test_a_source_whose_calls_fail_is_an_error_of_the_source(
    command, mount, place, tmp_path, call, number
):
    source = photos_in(place / "photos")
    mount.order(Fault(call, errno=number))
    assert_is_one_error(convert(command, source, tmp_path / "out"), 3, 6)


@pytest.mark.parametrize(("call", "number"), table(*CALLS, *CHANGES))
def test_an_output_whose_calls_fail_is_an_error_of_the_output(
    command, mount, place, tmp_path, call, number
):
    source = photos_in(tmp_path / "photos")
    mount.order(Fault(call, errno=number))
    assert_is_one_error(convert(command, source, place / "out"), 5)


@pytest.mark.parametrize(("call", "number"), table("open", "read"))
def test_a_function_whose_file_cannot_be_read_is_wrong_usage(
    command, mount, place, tmp_path, call, number
):
    source, file = photos_in(tmp_path / "photos"), place / "function.py"
    file.write_text(FUNCTION)
    mount.order(Fault(call, errno=number))
    arguments = ("--transform", f"{file}:same", "--dry-run")
    assert_is_one_error(command.run("convert", source, tmp_path / "out", *arguments), 2)


@pytest.fixture
def places(tmp_path):
    """Return paths that no call can look at: a long name and a loop of links."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.symlink_to(second)
    second.symlink_to(first)
    return [tmp_path / ("a" * 300), first]


def test_long_names_and_loops_of_links_are_errors_of_what_they_name(command, places, tmp_path):
    source = photos_in(tmp_path / "photos")
    for path in places:
        assert_is_one_error(convert(command, path, tmp_path / "out"), 3)
        assert convert(command, source, path).returncode == 5
        arguments = ("--transform", f"{path}.py:same")
        assert convert(command, source, tmp_path / "out", *arguments).returncode == 2
        for name in ("verify", "show", "ls", "repair", "index"):
            assert command.run(name, path).returncode in (2, 6)
        assert_is_one_error(command.run("sync", source, path), 2, 3, 5)
    assert not (tmp_path / "out").exists()


CHANGES_FOLDER = """
import os

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def same(image):
    return image
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_function_may_change_the_working_directory(tmp_path, workers):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "function.py").write_text(CHANGES_FOLDER)
    photos_in(tmp_path / "photos")
    arguments = ("--transform", "code/function.py:same", "--transform-mode", "image")
    done = wdsremux("convert", "photos", "out", *arguments, "--workers", workers, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "index.json").exists()
    assert not (tmp_path / "code" / "out").exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_an_image_of_a_share_that_is_away_is_not_rejected(command, mount, place, tmp_path, number):
    source, out = photos_in(place / "photos"), tmp_path / "out"
    mount.order(Fault("read", "coffee", errno=number))
    away = convert(command, source, out, "--max-errors", "100%")
    assert away.returncode == 3, away
    assert "the file 'coffee.jpg'" in away.stderr
    mount.order()
    assert convert(command, source, out).returncode == 0
    assert not (out / ".wdsremux/rejected.jsonl").read_text()
