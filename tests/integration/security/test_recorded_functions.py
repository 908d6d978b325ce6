"""The function that a dataset's record names is not run unless the user says so now."""

import hashlib
import json

import pytest
from support.corpora import write_parquet_dataset
from support.repairable import Made, images, make, remove, shard, state
from support.runs import tree
from support.runs import wdsremux as command

import wdsremux
from wdsremux.core.errors import RecipeMismatchError, UsageError
from wdsremux.core.head import fingerprint_of

pytestmark = pytest.mark.integration

BOMB = """
from pathlib import Path
from subprocess import getoutput
import subprocess

Path({mark!r}).touch()

def mix(batch):
    Path({mark!r}).touch()
    return batch
"""


@pytest.fixture
def made(tmp_path):
    """Return a dataset made by a function of the user's, a shard of which is gone."""
    made = make("batch", tmp_path / "data")
    remove(shard(made.out, -2))
    return made


def record(out, arguments, text=None):
    """Let the dataset record another function, with a fingerprint that is right again."""
    name = arguments.rpartition(":")[2]
    for file in (out / "index.json", state(out, "recipe.json")):
        head = json.loads(file.read_bytes())
        sha256 = hashlib.sha256(text.encode()).hexdigest() if text else "0" * 64
        head["recipe"]["transform"] = {"name": name, "sha256": sha256}
        head["place"]["transform"] = arguments
        head["fingerprint"] = fingerprint_of(head)
        file.write_text(json.dumps(head))


def refused(out, error=UsageError, **options):
    """Demand that repair makes no shard, and return what it says."""
    before = sorted(out.glob("*.tar"))
    with pytest.raises(error) as caught:
        wdsremux.repair(out, workers=0, **options)
    assert sorted(out.glob("*.tar")) == before
    return str(caught.value)


def test_a_recorded_function_is_shown_and_not_run(made):
    done = command("repair", made.out, "--progress", "none")
    file = made.folder / "mixing.py"
    assert done.returncode == 2
    assert f"{file}:mix" in done.stderr
    assert (
        json.loads(state(made.out, "recipe.json").read_text())["recipe"]["transform"]["sha256"]
        in done.stderr
    )
    assert "--trust-recorded" in done.stderr
    assert "--transform FILE.py:NAME" in done.stderr


@pytest.mark.parametrize("arguments", [["--trust-recorded"], ["--transform", "{file}:mix"]])
def test_it_is_run_when_trusted(tmp_path, arguments):
    made = make("batch", tmp_path)
    whole = tree(made.out)
    remove(shard(made.out))
    arguments = [word.format(file=tmp_path / "mixing.py") for word in arguments]
    done = command("repair", made.out, "--progress", "none", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(made.out) == whole


def test_a_function_within_the_dataset_is_never_run(made, tmp_path):
    mark = tmp_path / "ran"
    text = BOMB.format(mark=str(mark))
    (made.out / "helper.py").write_text(text)
    (tmp_path / "link.py").symlink_to(made.out / "helper.py")
    (tmp_path / "road").symlink_to(made.out)
    for file in (made.out / "helper.py", tmp_path / "link.py", tmp_path / "road" / "helper.py"):
        record(made.out, f"{file}:mix", text)
        assert "inside the dataset" in refused(made.out, trust_recorded=True)
    assert not mark.exists()


def test_a_module_within_the_dataset_is_never_run_nor_imported(made, tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    text = BOMB.format(mark=str(mark))
    (made.out / "package").mkdir()
    (made.out / "package" / "__init__.py").write_text(text)
    (made.out / "package" / "helper.py").write_text(text)
    (made.out / "helper.py").write_text(text)
    monkeypatch.chdir(made.out)
    for arguments in ("helper:mix", "package.helper:mix", "package:mix"):
        record(made.out, arguments, text)
        assert "inside the dataset" in refused(made.out, trust_recorded=True)
        assert "trust" in refused(made.out)
    assert not mark.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "subprocess:getoutput",
        "os:system",
        "builtins:exec",
        "nt:system",
        "posix:system",
        "concurrent.futures:wait",
        "numpy:save",
        "PIL.ImageShow:show",
        "wdsremux.converting.convert:convert",
        "{subprocess}:getoutput",
        "{pil}:show",
        "{wdsremux}:convert",
    ],
)
def test_an_installed_function_is_never_run(made, arguments):
    import subprocess

    from PIL import ImageShow

    from wdsremux.converting import convert as api

    record(
        made.out,
        arguments.format(
            subprocess=subprocess.__file__, pil=ImageShow.__file__, wdsremux=api.__file__
        ),
    )
    assert "--transform FILE.py:NAME" in refused(made.out, trust_recorded=True)


@pytest.mark.parametrize(
    "name", ["getoutput", "subprocess.getoutput", "Path.unlink", "mix.__call__"]
)
def test_a_function_only_imported_by_the_users_file_is_never_run(made, tmp_path, name):
    text = BOMB.format(mark=str(tmp_path / "ran"))
    (tmp_path / "own.py").write_text(text)
    record(made.out, f"{tmp_path}/own.py:{name}", text)
    assert "is not defined in" in refused(made.out, trust_recorded=True)
    assert not (tmp_path / "ran").exists()


def test_a_file_other_than_the_recorded_one_is_not_run(made, tmp_path):
    (tmp_path / "own.py").write_text(BOMB.format(mark=str(tmp_path / "ran")))
    record(made.out, f"{tmp_path}/own.py:mix", "something else")
    text = refused(made.out, RecipeMismatchError, trust_recorded=True)
    assert "the function has changed" in text
    assert not (tmp_path / "ran").exists()


def test_a_function_of_a_module_of_the_user_is_run_when_trusted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Made(tmp_path)
    write_parquet_dataset(made.source, images=images())
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "flips.py").write_text(
        "class Flips:\n    @staticmethod\n    def flip(image):\n        return image.rotate(180)\n"
    )
    made.options = {"transform": "own_package.flips:Flips.flip", "transform_mode": "image"}
    made.convert()
    whole = tree(made.out)
    remove(shard(made.out))
    command_line = ("repair", made.out, "--progress", "none")
    assert command(*command_line, cwd=tmp_path).returncode == 2
    done = command(*command_line, "--trust-recorded", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(made.out) == whole


def test_extending_and_measuring_run_only_what_this_command_line_names(made, tmp_path):
    mark = tmp_path / "ran"
    text = BOMB.format(mark=str(mark))
    (tmp_path / "own.py").write_text(text)
    record(made.out, f"{tmp_path}/own.py:mix", text)
    done = command("convert", made.source, made.out, "--extend", "--progress", "none")
    assert done.returncode == 7, done.stderr
    command("bench", made.out, "--seconds", "1")
    command("convert", made.out, tmp_path / "other", "--dry-run")
    assert not mark.exists()


def test_a_recorded_function_with_invalid_utf8_is_not_run(made):
    for arguments in (
        "",
        ":",
        "a.py:",
        "nothing.py:mix",
        "\0.py:mix",
        "..:mix",
        "no such module:mix",
    ):
        record(made.out, arguments)
        assert "--transform" in refused(made.out, trust_recorded=True)
