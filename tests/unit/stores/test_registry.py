"""URLs of stores: which module they open, and the error for a missing one."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from wdsremux.cli.main import main
from wdsremux.core.errors import UsageError
from wdsremux.stores.folder.store import FolderStore
from wdsremux.stores.hub.store import HubStore
from wdsremux.stores.registry import open_store
from wdsremux.stores.schemes import SCHEMES


def test_a_path_is_a_folder():
    target = open_store("some/folder")
    assert isinstance(target, FolderStore)


def test_a_hub_dataset_is_a_store_with_or_without_a_branch():
    for arguments in ("hf://datasets/user/name", "hf://datasets/user/name@branch"):
        target = open_store(arguments)
        assert isinstance(target, HubStore)
        assert target.url == arguments


def test_an_unknown_scheme_creates_no_folder_of_that_name():
    with pytest.raises(
        UsageError, match="ftp:// is not supported for outputs; use a folder or one of s3://"
    ):
        open_store("ftp://host/folder")


@pytest.mark.parametrize(
    ("arguments", "library", "part", "packages"),
    [
        ("s3://bucket/folder", "boto3", "s3", "boto3 awscrt"),
        ("gs://bucket/folder", "obstore", "obstore", "obstore"),
        ("az://container/folder", "obstore", "obstore", "obstore"),
    ],
)
def test_a_missing_library_is_named_with_its_install_command(
    monkeypatch, arguments, library, part, packages
):
    for name in [*sys.modules]:
        if name.startswith((f"wdsremux.stores.{part}", f"{library}.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"{library}.*pip install {packages}$"):
        open_store(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        "s3://me:SECRET@bucket/folder", "s3://me:SEC/SECRET@bucket", "gs://me:SECRET@bucket/folder",
        "az://container/folder?sv=1&sig=SECRET", Path("s3://me:SECRET@bucket"),
    ],
)  # fmt: skip
def test_a_url_with_a_possible_secret_is_refused_without_showing_it(arguments):
    with pytest.raises(UsageError, match=r"may hold a secret; name [a-z0-9]+://BUCKET") as caught:
        open_store(arguments)
    assert "SECRET" not in str(caught.value)


def test_each_scheme_names_the_packages_of_its_extra():
    project = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text())
    extras = {
        extra: {re.match(r"[\w-]+", line)[0] for line in requirements}
        for extra, requirements in project["project"]["optional-dependencies"].items()
    }
    extras.pop("ray")  # of the engine, not of a store
    assert {name: {*row.extra} for name, row in SCHEMES.items() if row.extra} == extras


@pytest.mark.parametrize("command", ["convert", "sync"])
def test_help_names_every_scheme(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert all(f"{name}://" in shown for name in SCHEMES)


def test_a_mistyped_url_is_not_a_folder():
    with pytest.raises(
        UsageError, match="a Path cannot hold a URL; pass the string 's3://bucket/pets'"
    ):
        open_store(Path("s3://bucket/pets"))
