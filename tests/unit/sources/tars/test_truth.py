"""What tars hold is what is read: later members, other formats, and what is left out."""

import gzip
import io
import tarfile

import pytest

from wdsremux.core.columns import Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.tars.source import open_tars


def write_tar(path, *members):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def records(source):
    extras = tuple(c for c in source.features() if c.dtype != "image")
    columns = Columns("image", None, extras, None)
    return [r for unit in source.units("train", columns, 0) for r in unit.read(0, unit.rows)]


def test_an_image_of_a_format_that_begins_later_is_an_image(tmp_path):
    members = [(f"{number:03}.jpg", b"j") for number in range(130)]
    path = write_tar(tmp_path / "a.tar", *members, ("130.png", b"p"), ("131.webp", b"w"))
    assert [record.image for record in records(open_tars(path))][-3:] == [b"j", b"p", b"w"]


def test_members_that_begin_in_a_later_tar_are_columns(tmp_path):
    write_tar(tmp_path / "a.tar", ("1.jpg", b"x"))
    write_tar(tmp_path / "b.tar", ("2.jpg", b"x"), ("2.txt", b"late"))
    assert [record.fields["txt"] for record in records(open_tars(tmp_path))] == [None, "late"]


def test_members_that_are_not_read_are_named(tmp_path):
    path = write_tar(tmp_path / "a.tar", ("1.jpg", b"x"), ("1.npy", b"n"), ("2.jpg", b"x"))
    (note,) = open_tars(path).notes()
    assert note.startswith("members left out: npy (in 1 of the 2 samples examined)")


def test_members_without_a_common_key_are_reported(tmp_path):
    path = write_tar(tmp_path / "a.tar", ("s0/in.jpg", b"x"), ("s0/info.json", b"{}"))
    (note,) = open_tars(path).notes()
    assert "common key" in note


def test_a_compressed_file_that_is_named_tar_is_called_so(tmp_path):
    path = write_tar(tmp_path / "a.tar", ("1.jpg", b"x"))
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(SourceError, match=r"'a\.tar' is compressed with gzip.*gunzip"):
        open_tars(path)


def test_a_tar_of_tars_is_called_so(tmp_path):
    inner = write_tar(tmp_path / "n01.tar", ("1.jpg", b"x")).read_bytes()
    (tmp_path / "in").mkdir()
    path = write_tar(tmp_path / "in" / "train.tar", ("n01.tar", inner), ("n02.tar", inner))
    with pytest.raises(SourceError, match="holds tars, not images; unpack it"):
        open_tars(path)
