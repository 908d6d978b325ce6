import zipfile

import pytest

from wdsremux.sources.rows.links import AllowedFiles, Link, contents

HUB = "hf://datasets/u/n@" + "a" * 40


def content(path, allowed):
    ((data, problem),) = contents([Link(str(path), allowed)])
    assert (data is None) == (problem is not None)
    return data if problem is None else problem


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/1.png").write_bytes(b"one")
    (tmp_path / "secret.png").write_bytes(b"secret")
    with zipfile.ZipFile(root / "z.zip", "w") as archive:
        archive.writestr("d/2.png", b"two")
        archive.writestr("broken.png", b"x" * 100, zipfile.ZIP_STORED)
    data = (root / "z.zip").read_bytes()
    (root / "z.zip").write_bytes(data.replace(b"x" * 100, b"x" * 99 + b"y"))
    return root


def test_relative_and_full_paths_inside_the_root_are_read(folder):
    allowed = AllowedFiles(str(folder))
    assert content("a/1.png", allowed) == b"one"
    assert content(folder / "a/1.png", allowed) == b"one"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "/etc/hostname",
        "a/../../secret.png",
        "file:///etc/hostname",
        "https://example.com/a.png",
        f"{HUB}/a.png",
        "local://x",
        "zip://d/2.png::../z.zip",
        "zip://d/2.png::https://example.com/z.zip",
        "a\0b",
    ],
)
def test_a_path_out_of_the_root_is_never_followed(folder, path):
    assert "outside" in content(path, AllowedFiles(str(folder)))


def test_a_link_out_of_the_root_is_never_followed(folder):
    (folder / "out.png").symlink_to(folder.parent / "secret.png")
    assert "outside" in content("out.png", AllowedFiles(str(folder)))


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "file:///etc/hostname", "hf://datasets/u/other@x/a", f"{HUB}/../x"]
)
def test_a_hub_dataset_may_name_only_its_own_files(path):
    assert "outside" in content(path, AllowedFiles(HUB))


def test_rows_of_a_program_may_name_any_file_but_no_url(folder):
    assert content(folder / "a/1.png", AllowedFiles(None)) == b"one"
    assert "outside" in content("https://example.com/a.png", AllowedFiles(None))


class Named:
    """A fetcher whose files hold their own names."""

    def fetch(self, paths):
        return (path.encode() for path in paths)


def test_rows_of_a_program_may_name_readable_files_of_the_hub(folder):
    allowed = AllowedFiles(None, Named())
    assert content(f"{HUB}/a.png", allowed) == f"{HUB}/a.png".encode()
    assert content(folder / "a/1.png", allowed) == b"one"
    assert content(f"zip://d/2.png::{folder / 'z.zip'}", allowed) == b"two"
    assert "outside" in content("https://example.com/a.png", allowed)
    assert "outside" in content(f"{HUB}/a.png", AllowedFiles(None))


def test_a_missing_file_or_a_folder_is_a_problem(folder):
    assert "does not exist" in content("a/2.png", AllowedFiles(str(folder)))
    assert "does not exist" in content("a", AllowedFiles(str(folder)))


def test_members_of_a_zip_are_read(folder):
    allowed = AllowedFiles(str(folder))
    assert content(f"zip://d/2.png::{folder / 'z.zip'}", allowed) == b"two"
    assert "does not have a member" in content(f"zip://d/3.png::{folder / 'z.zip'}", allowed)
    assert "Bad CRC" in content(f"zip://broken.png::{folder / 'z.zip'}", allowed)
    assert "cannot read" in content(f"zip://d/2.png::{folder / 'a/1.png'}", allowed)
    assert "cannot read" in content(f"zip://d/2.png::{folder / 'none.zip'}", allowed)


def test_a_rewritten_zip_is_reopened(folder):
    allowed = AllowedFiles(str(folder))
    assert content("zip://d/2.png::z.zip", allowed) == b"two"
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("d/2.png", b"another two")
    assert content("zip://d/2.png::z.zip", allowed) == b"another two"


def test_the_error_for_a_path_outside_the_root_names_the_remedy(folder):
    problem = content("/etc/hostname", AllowedFiles(str(folder), remedy="name the right folder"))
    assert problem == "the image '/etc/hostname' is outside of the dataset; name the right folder"


def test_many_links_keep_their_order(folder):
    for i in range(50):
        (folder / f"{i}.png").write_bytes(b"%d" % i)
    allowed = AllowedFiles(str(folder))
    found = contents([Link(f"{i}.png", allowed) for i in range(50)])
    assert [data for data, _ in found] == [b"%d" % i for i in range(50)]
