import os
import socket

import psutil
import pytest

from wdsremux.stores.reading.untrusted import (
    NotAFileError,
    TooLargeError,
    UntrustedFolder,
    is_safe_name,
)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.bin").write_bytes(b"abc")
    (root / "sub/b.bin").write_bytes(b"defg")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/c.bin").write_bytes(b"c")
    with UntrustedFolder(root) as opened:
        yield opened, root


def test_files_are_listed_and_read(folder):
    opened, _ = folder
    assert [(item.name, item.kind, item.size_bytes) for item in opened.tree()] == [
        ("a.bin", "file", 3),
        ("sub/b.bin", "file", 4),
    ]
    assert opened.read("sub/b.bin", 100) == b"defg"
    assert opened.read("missing", 100) is None
    assert opened.read("missing/b.bin", 100) is None


def test_a_link_is_listed_but_never_followed(folder):
    opened, root = folder
    (root / "link.tar").symlink_to("../secret")
    (root / "linked").symlink_to("../elsewhere")
    kinds = {item.name: item.kind for item in opened.items()}
    assert kinds["link.tar"] == kinds["linked"] == "link"
    for name in ("link.tar", "linked/c.bin"):
        with pytest.raises(NotAFileError):
            opened.read(name, 100)
    assert "linked/c.bin" not in [item.name for item in opened.tree()]
    with pytest.raises(NotAFileError):
        opened.items("linked")


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "sub/../a.bin", "a//b", ".", "x\0y"]
)
def test_a_name_that_leads_out_is_refused(folder, name):
    opened, _ = folder
    assert not is_safe_name(name)
    with pytest.raises(NotAFileError):
        opened.open(name)


def test_pipes_sockets_and_folders_are_refused_without_waiting(folder, monkeypatch):
    opened, root = folder
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        monkeypatch.chdir(root)  # the path of a socket must be short
        one.bind("socket")
        for name in ("pipe", "socket", "sub"):
            with pytest.raises(NotAFileError):
                opened.open(name)


def test_a_file_that_is_too_large_is_not_read(folder):
    opened, root = folder
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TooLargeError):
        opened.read("huge", 1 << 20)


def test_the_root_may_be_reached_by_a_link(tmp_path, folder):
    _, root = folder
    (tmp_path / "way").symlink_to(root)
    with UntrustedFolder(tmp_path / "way") as opened:
        assert opened.read("a.bin", 10) == b"abc"


def test_deep_trees_end(tmp_path):
    path = tmp_path
    for _ in range(40):
        path = path / "d"
    path.mkdir(parents=True)
    (path / "x").write_bytes(b"")
    with UntrustedFolder(tmp_path) as opened:
        assert list(opened.tree()) == []


def test_no_descriptor_is_left_open(folder):
    opened, root = folder
    (root / "link").symlink_to("a.bin")
    before = psutil.Process().num_fds()
    for name in ("a.bin", "link", "missing", "sub", "nope/x", "../x"):
        try:
            opened.read(name, 100)
        except OSError:
            continue
    list(opened.tree())
    assert psutil.Process().num_fds() == before
