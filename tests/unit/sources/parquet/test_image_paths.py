import pytest

from wdsremux.sources.parquet.image_paths import ImageFolder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "a.jpg").write_bytes(b"inside")
    (tmp_path / "secret.jpg").write_bytes(b"outside")
    return tmp_path / "root"


def test_a_path_below_the_folder_is_read(folder):
    images = ImageFolder(str(folder))
    assert images.read("sub/a.jpg") == (b"inside", None)
    assert images.read(str(folder / "sub" / "a.jpg")) == (b"inside", None)
    assert images.read("sub/../sub/a.jpg") == (b"inside", None)


def test_a_path_out_of_the_folder_is_refused(folder):
    (folder / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    images = ImageFolder(str(folder))
    for path in ("../secret.jpg", str(folder.parent / "secret.jpg"), "link.jpg"):
        data, problem = images.read(path)
        assert data is None
        assert "--image-root" in problem
        assert not images.has(path)


@pytest.mark.parametrize("path", ["gone.jpg", "sub", "a\0b", "x" * 5000, "http://host/a.jpg"])
def test_a_path_that_is_not_a_file_is_a_problem_not_an_exception(folder, path):
    data, problem = ImageFolder(str(folder)).read(path)
    assert data is None
    assert problem
    assert not ImageFolder(str(folder)).has(path)


def test_where_no_folder_can_be_named_no_option_is_recommended():
    data, problem = ImageFolder(None).read("a.jpg")
    assert data is None
    assert problem == "the image is in the file 'a.jpg', which the dataset does not contain"
