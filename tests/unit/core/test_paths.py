"""Whether paths lead to files and folders, and what happens where the system cannot say."""

import pytest

from wdsremux.core.paths import exists, is_file, is_folder


def test_files_and_folders_are_distinguished(tmp_path):
    (tmp_path / "file").touch()
    assert (is_file(tmp_path / "file"), is_folder(tmp_path / "file")) == (True, False)
    assert (is_file(tmp_path), is_folder(tmp_path)) == (False, True)


def test_a_link_is_what_it_leads_to(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_folder(tmp_path / "link")


@pytest.mark.parametrize("name", ["absent", "file/below", "loop", "null\0byte"])
def test_what_does_not_exist_is_neither(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / name
    assert (exists(path), is_file(path), is_folder(path)) == (False, False, False)


@pytest.mark.parametrize("ask", [exists, is_file, is_folder])
def test_a_path_that_the_system_refuses_raises(tmp_path, ask):
    with pytest.raises(OSError, match="name too long"):
        ask(tmp_path / ("a" * 300))
