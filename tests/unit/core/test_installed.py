"""Versions of installed libraries, held against importlib.metadata."""

import sys
from importlib import metadata

import pytest

from wdsremux.core.installed import installed_versions

NAMES = ("pillow", "numpy", "opencv-python-headless", "PyYAML", "typing_extensions")


def test_they_are_those_of_importlib_metadata():
    assert installed_versions(NAMES) == {name: metadata.version(name) for name in NAMES}


def test_a_library_that_is_not_installed_is_missing():
    assert installed_versions(["no-such-library"]) == {"no-such-library": "missing"}


@pytest.mark.parametrize("record", ["some_library-9.dist-info/METADATA", "Some.Library.egg-info"])
def test_the_version_is_read_from_what_installers_write(record, tmp_path, monkeypatch):
    path = tmp_path / record
    path.parent.mkdir(exist_ok=True)
    path.write_text("Metadata-Version: 2.1\nName: some-library\nVersion: 1.2+local\n\nVersion: 3\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "absent"), str(tmp_path)])
    assert installed_versions(["Some-Library"]) == {"Some-Library": "1.2+local"}
