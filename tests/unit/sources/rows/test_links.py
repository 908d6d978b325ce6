import zipfile

import pytest

from wdsremux.sources.rows.links import Link, Reach, contents

HUB = "hf://datasets/u/n@" + "a" * 40


def content(path, reach):
    ((data, problem),) = contents([Link(str(path), reach)])
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
    reach = Reach(str(folder))
    assert content("a/1.png", reach) == b"one"
    assert content(folder / "a/1.png", reach) == b"one"


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
    assert "outside" in content(path, Reach(str(folder)))


def test_a_link_out_of_the_root_is_never_followed(folder):
    (folder / "out.png").symlink_to(folder.parent / "secret.png")
    assert "outside" in content("out.png", Reach(str(folder)))


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "file:///etc/hostname", "hf://datasets/u/other@x/a", f"{HUB}/../x"]
)
def test_a_hub_dataset_may_name_only_its_own_files(path):
    assert "outside" in content(path, Reach(HUB))


def test_rows_of_a_program_may_name_any_file_but_no_url(folder):
    assert content(folder / "a/1.png", Reach(None)) == b"one"
    assert "outside" in content("https://example.com/a.png", Reach(None))


class Named:
    """A fetcher whose files hold their own names."""

    def fetch(self, paths):
        return (path.encode() for path in paths)


def test_rows_of_a_program_may_name_readable_files_of_the_hub(folder):
    reach = Reach(None, Named())
    assert content(f"{HUB}/a.png", reach) == f"{HUB}/a.png".encode()
    assert content(folder / "a/1.png", reach) == b"one"
    assert content(f"zip://d/2.png::{folder / 'z.zip'}", reach) == b"two"
    assert "outside" in content("https://example.com/a.png", reach)
    assert "outside" in content(f"{HUB}/a.png", Reach(None))


def test_a_missing_file_or_a_folder_is_a_problem(folder):
    assert "does not exist" in content("a/2.png", Reach(str(folder)))
    assert "does not exist" in content("a", Reach(str(folder)))


def test_members_of_a_zip_are_read(folder):
    reach = Reach(str(folder))
    assert content(f"zip://d/2.png::{folder / 'z.zip'}", reach) == b"two"
    assert "does not have a member" in content(f"zip://d/3.png::{folder / 'z.zip'}", reach)
    assert "Bad CRC" in content(f"zip://broken.png::{folder / 'z.zip'}", reach)
    assert "cannot read" in content(f"zip://d/2.png::{folder / 'a/1.png'}", reach)
    assert "cannot read" in content(f"zip://d/2.png::{folder / 'none.zip'}", reach)


def test_a_rewritten_zip_is_reopened(folder):
    reach = Reach(str(folder))
    assert content("zip://d/2.png::z.zip", reach) == b"two"
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("d/2.png", b"another two")
    assert content("zip://d/2.png::z.zip", reach) == b"another two"


def test_the_error_for_a_path_outside_the_root_names_the_remedy(folder):
    problem = content("/etc/hostname", Reach(str(folder), remedy="name the right folder"))
    assert problem == "the image '/etc/hostname' is outside of the dataset; name the right folder"


def test_many_links_keep_their_order(folder):
    for i in range(50):
        (folder / f"{i}.png").write_bytes(b"%d" % i)
    reach = Reach(str(folder))
    found = contents([Link(f"{i}.png", reach) for i in range(50)])
    assert [data for data, _ in found] == [b"%d" % i for i in range(50)]
