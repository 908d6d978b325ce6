"""Functions named as FILE.py:NAME or MODULE:NAME, and function objects."""

import functools
import importlib
import re
import sys
import textwrap

import cloudpickle
import pytest

from wdsremux.core.errors import TransformError, UsageError
from wdsremux.transforms.function.spec import function_from_callable, function_from_text

SOURCE = """
    import math
    from pathlib import Path as P
    import beside

    FACTOR = 3

    def augment(batch):
        return batch * FACTOR * beside.NUMBER

    def other(batch):
        return batch

    class Kind:
        def __call__(self, batch):
            return "called"

        def method(self, batch):
            return "method"

    instance = Kind()

    async def later(batch):
        return batch

    def _hidden(batch):
        return batch
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "aug.py").write_text(textwrap.dedent(SOURCE))
    (tmp_path / "beside.py").write_text("NUMBER = 7\n")
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "steps.py").write_text("def flip(image):\n    return image[::-1]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for name in ("aug", "beside", "my_package", "my_package.steps"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # left by an earlier test
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.usefixtures("folder")
def test_a_function_of_a_file_can_import_its_folder():
    assert function_from_text("aug.py:augment").load()(2) == 42


def test_a_file_may_be_named_by_its_path(folder, monkeypatch):
    monkeypatch.chdir("/")
    assert function_from_text(f"{folder}/aug.py:augment").load()(1) == 21


@pytest.mark.usefixtures("folder")
def test_a_function_of_a_module_in_the_current_folder_is_found():
    assert function_from_text("my_package.steps:flip").load()("abc") == "cba"


@pytest.mark.parametrize("module", [".", "..steps", ".my_package"])
def test_a_relative_module_is_refused(module):
    with pytest.raises(UsageError, match="not found"):
        function_from_text(f"{module}:flip")


@pytest.mark.usefixtures("folder")
def test_an_installed_module_is_found():
    assert function_from_text("textwrap:dedent").load()(" a") == "a"


@pytest.mark.usefixtures("folder")
def test_a_named_function_is_pickled_by_name():
    spec = function_from_text("aug.py:augment")
    assert cloudpickle.loads(cloudpickle.dumps(spec)).load()(2) == 42
    assert len(cloudpickle.dumps(spec)) < 1_000


@pytest.mark.usefixtures("folder")
def test_two_files_of_one_name_are_two_modules(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "aug.py").write_text("def augment(batch):\n    return 'other'\n")
    assert function_from_text("aug.py:augment").load()(1) == 21
    assert function_from_text("sub/aug.py:augment").load()(1) == "other"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "answer"), [("instance", "called"), ("instance.method", "method")]
)
def test_objects_and_their_methods_are_functions_too(name, answer):
    assert function_from_text(f"aug.py:{name}").load()(0) == answer


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aug.py", "is not FILE.py:NAME or MODULE:NAME; add the name"),
        ("aug.py:", "is not FILE.py:NAME or MODULE:NAME"),
        (":augment", "is not FILE.py:NAME or MODULE:NAME"),
        ("nowhere/gone.py:augment", "transform file 'gone.py' does not exist in"),
        ("no_such_module:augment", "transform module 'no_such_module' not found from"),
        ("my_package.gone:f", "transform module 'my_package.gone' not found"),
        ("sys:exit", "transform module 'sys' not found"),
    ],
)
def test_a_missing_function_is_named(text, message):
    with pytest.raises(UsageError, match=message):
        function_from_text(text)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("augmnt", r"aug\.py has no 'augmnt'; it has augment, other, instance, later"),
        ("instance.gone", r"aug\.py has no 'instance\.gone'"),
        ("FACTOR", r"transform aug\.py:FACTOR is not a function but int"),
        ("Kind", r"transform aug\.py:Kind is a class; name a function, or an object"),
        ("later", r"transform aug\.py:later is async"),
    ],
)
def test_a_name_that_is_not_a_function_is_refused(name, message):
    with pytest.raises(UsageError, match=message):
        function_from_text(f"aug.py:{name}").load()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "x = 1\nraise ValueError('no data')\n",
            r"cannot import bad\.py: ValueError: no data \(bad\.py:2\)",
        ),
        ("import no_such_library\n", r"No module named 'no_such_library' \(bad\.py:1\)"),
        ("def f(:\n", r"cannot import bad\.py: SyntaxError: .*\(bad\.py, line 1\)"),
        ("import sys\nsys.exit(3)\n", r"cannot import bad\.py: SystemExit: 3 \(bad\.py:2\)"),
    ],
)
def test_a_failing_file_is_reported_with_the_line(folder, source, message):
    (folder / "bad.py").write_text(source)
    with pytest.raises(TransformError, match=message):
        function_from_text("bad.py:f").load()


def test_a_failing_module_is_reported_with_the_line(folder):
    (folder / "bad.py").write_text("\n\n1 / 0\n")
    message = r"cannot import bad: ZeroDivisionError: division by zero \(bad\.py:3\)"
    with pytest.raises(TransformError, match=message):
        function_from_text("bad:f").load()


def test_a_package_that_fails_is_not_taken_for_a_missing_one(folder):
    (folder / "my_package" / "__init__.py").write_text("import no_such_library\n")
    with pytest.raises(TransformError, match="No module named 'no_such_library'"):
        function_from_text("my_package.steps:flip")


def test_a_file_that_changes_during_the_run_is_noticed(folder):
    spec = function_from_text("aug.py:augment")
    (folder / "aug.py").write_text("def augment(batch):\n    return None\n")
    with pytest.raises(TransformError, match=r"aug\.py was changed during the run"):
        spec.load()


@pytest.fixture
def steps(folder, monkeypatch):
    """Return the file of a module; no compiled file may stand for it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = folder / "steps_of_mine.py"
    file.write_text("TIMES = 2\n\ndef times(value):\n    return value * TIMES\n")
    importlib.invalidate_caches()
    return file


@pytest.mark.parametrize("change", [("TIMES = 2", "TIMES = 3"), ("value * TIMES", "value + 1")])
def test_a_module_changed_after_a_run_is_detected(steps, change):
    assert function_from_text("steps_of_mine:times").load()(5) == 10
    assert function_from_text("steps_of_mine:times").load()(5) == 10
    steps.write_text(steps.read_text().replace(*change))
    with pytest.raises(TransformError, match="'steps_of_mine' has changed since it was imported"):
        function_from_text("steps_of_mine:times").load()
    importlib.reload(sys.modules["steps_of_mine"])
    assert function_from_text("steps_of_mine:times").load()(5) in (15, 6)


def test_a_module_that_changed_after_the_program_imported_it_is_noticed(steps, monkeypatch):
    monkeypatch.syspath_prepend(steps.parent)
    importlib.import_module("steps_of_mine")
    assert function_from_text("steps_of_mine:times").load()(5) == 10
    importlib.reload(sys.modules["steps_of_mine"])
    steps.write_text("def times(value):\n    return 0\n")
    with pytest.raises(TransformError, match="has changed since it was imported"):
        function_from_text("steps_of_mine:times").load()


def test_the_fingerprint_depends_on_the_code_not_on_its_folder(folder, tmp_path_factory):
    text = (folder / "aug.py").read_bytes()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "aug.py").write_bytes(b"# a comment\r\n" + text.replace(b"\n", b"\r\n"))
    (elsewhere / "beside.py").write_bytes((folder / "beside.py").read_bytes())
    named = f"{elsewhere / 'aug.py'}:augment"
    one = function_from_text("aug.py:augment").fingerprint()
    assert one == function_from_text(named).fingerprint()
    assert one["name"] == "augment"
    assert re.fullmatch("[0-9a-f]{64}", one["sha256"])
    (elsewhere / "aug.py").write_bytes(text + b"\nX = 1")
    assert one != function_from_text(named).fingerprint()


def double(value):
    return 2 * value


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (double, "double"),
        (lambda value: 2 * value, "<lambda>"),
        (functools.partial(pow, 2), "pow"),
        ("ab".join, "str.join"),
    ],
)
def test_any_callable_is_a_function(function, name):
    spec = function_from_callable(function)
    assert spec.load() is function
    assert spec.fingerprint()["name"] == name
    assert spec.label == name


@pytest.mark.parametrize(
    ("function", "message"), [(3, "not a function but int"), (dict, "is a class")]
)
def test_an_object_that_cannot_be_called_is_refused(function, message):
    with pytest.raises(UsageError, match=message):
        function_from_callable(function)
