"""What tars hold is what is read: later members, other formats, and what is left out."""

import gzip
import io
import tarfile
from collections import Counter

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


def left_out(source):
    """Return what the records say is left out, with its number."""
    counts = Counter()
    for record in records(source):
        counts.update(dict(record.remarks))
    return dict(counts)


def test_an_image_of_a_format_that_begins_later_is_an_image(tmp_path):
    members = [(f"{number:03}.jpg", b"j") for number in range(130)]
    path = write_tar(tmp_path / "a.tar", *members, ("130.png", b"p"), ("131.webp", b"w"))
    assert [record.image for record in records(open_tars(path))][-3:] == [b"j", b"p", b"w"]


def test_members_that_begin_in_a_later_tar_are_columns(tmp_path):
    write_tar(tmp_path / "a.tar", ("1.jpg", b"x"))
    write_tar(tmp_path / "b.tar", ("2.jpg", b"x"), ("2.txt", b"late"))
    assert [record.fields["txt"] for record in records(open_tars(tmp_path))] == [None, "late"]


def test_members_that_are_not_read_are_counted_in_every_sample(tmp_path):
    members = [(f"{n:03}.{kind}", b"x") for n in range(130) for kind in ("jpg", "npy", "pth")]
    texts = left_out(open_tars(write_tar(tmp_path / "a.tar", *members)))
    assert {text.partition(":")[2][:7]: n for text, n in texts.items()} == {
        " '.npy'": 130,
        " '.pth'": 130,
    }


def test_members_and_keys_that_begin_late_in_a_tar_are_counted(tmp_path):
    early = [(f"{n:03}.{kind}", b'{"a": 1}') for n in range(100) for kind in ("jpg", "json")]
    late = [
        (f"{n:03}.{kind}", b'{"a": 1, "b": 2}')
        for n in range(100, 110)
        for kind in ("jpg", "json", "txt")
    ]
    source = open_tars(write_tar(tmp_path / "a.tar", *early, *late))
    assert [record.fields["a"] for record in records(source)] == [1] * 110
    texts = left_out(source)
    assert sorted((text.partition(":")[0], n) for text, n in texts.items()) == [
        ("JSON keys left out", 10),
        ("members left out", 10),
    ]
    assert all("begins after the samples" in text for text in texts)


def test_a_second_image_of_a_sample_is_counted(tmp_path):
    early = [(f"{n:03}.jpg", b"j") for n in range(100)]
    path = write_tar(tmp_path / "a.tar", *early, ("100.jpg", b"j"), ("100.png", b"p"))
    assert left_out(open_tars(path)) == {
        "images left out: a sample has several of one name, the first is packed": 1
    }


def test_a_part_of_a_sample_is_an_image_whatever_its_format_becomes(tmp_path):
    members = [(f"{n:03}.{kind}", b"j") for n in range(110) for kind in ("jpg", "seg.png")]
    path = write_tar(tmp_path / "a.tar", *members, ("110.jpg", b"j"), ("110.seg.webp", b"w"))
    source = open_tars(path)
    columns = Columns("seg", None, (), None)
    found = [r.image for unit in source.units("train", columns, 0) for r in unit.read(0, unit.rows)]
    assert found == [b"j"] * 110 + [b"w"]


def test_members_without_a_common_key_are_reported(tmp_path):
    path = write_tar(tmp_path / "a.tar", ("s0/in.jpg", b"x"), ("s0/info.json", b"{}"))
    (note,) = open_tars(path).notes()
    assert "common key" in note


def test_a_compressed_file_that_is_named_tar_is_called_so(tmp_path):
    path = write_tar(tmp_path / "a.tar", ("1.jpg", b"x"))
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(SourceError, match=r"'a\.tar' is compressed with gzip.*gunzip"):
        open_tars(path)


def tar_of_tars(path, **classes):
    inner = []
    for name, images in classes.items():
        one = write_tar(path.parent / f"{name}.tmp", *((each, each.encode()) for each in images))
        inner.append((f"{name}.tar", one.read_bytes()))
    return write_tar(path, *inner)


def test_a_tar_of_tars_is_read_with_the_inner_names_as_classes(tmp_path):
    path = tar_of_tars(tmp_path / "train.tar", n02=["n02_1.JPEG", "n02_2.JPEG"], n01=["n01_1.JPEG"])
    source = open_tars(path)
    label = next(c for c in source.features() if c.name == "label")
    assert label.class_names == ("n01", "n02")
    found = [(r.position, r.image, r.fields["label"], r.fields["key"]) for r in records(source)]
    assert found == [
        (0, b"n02_1.JPEG", 1, "n02_1"),
        (1, b"n02_2.JPEG", 1, "n02_2"),
        (2, b"n01_1.JPEG", 0, "n01_1"),
    ]
    columns = Columns("image", label, (), None)
    late = [r for unit in source.units("train", columns, 2) for r in unit.read(0, unit.rows)]
    assert [(r.position, r.fields["label"]) for r in late] == [(2, 0)]


def test_splits_of_tars_of_tars_have_the_same_labels(tmp_path):
    tar_of_tars(tmp_path / "train-0.tar", a=["1.jpg"], b=["2.jpg"], c=["3.jpg"])
    tar_of_tars(tmp_path / "val-0.tar", c=["4.jpg"])
    source = open_tars(tmp_path)
    columns = Columns("image", source.features()[0], (), None)
    (unit,) = source.units("validation", columns, 0)
    assert [record.fields["label"] for record in unit.read(0, 1)] == [2]


@pytest.mark.parametrize("other", ["1.jpg", "b.tar.gz"])
def test_tars_beside_other_files_in_a_tar_are_refused(tmp_path, other):
    inner = write_tar(tmp_path / "n01", ("1.jpg", b"x")).read_bytes()
    path = write_tar(tmp_path / "train.tar", ("n01.tar", inner), (other, b"x"))
    with pytest.raises(SourceError, match=r"unpack"):
        open_tars(path)


def test_a_damaged_inner_tar_is_named(tmp_path):
    inner = write_tar(tmp_path / "n01", ("1.jpg", b"x" * 2000)).read_bytes()
    path = write_tar(tmp_path / "in.tar", ("n01.tar", inner), ("n02.tar", inner[:1500]))
    with pytest.raises(SourceError, match=r"'in\.tar/n02\.tar' is damaged"):
        open_tars(path)


def test_tars_without_end_blocks_are_named_and_counted(tmp_path):
    for name in ("a.tar", "b.tar", "c.tar"):
        path = write_tar(tmp_path / name, ("1.jpg", b"x" * 512))
        if name != "c.tar":
            path.write_bytes(path.read_bytes()[:1024])
    source = open_tars(tmp_path)
    (note,) = source.notes()
    assert note.startswith("2 tars without end blocks, for example 'a.tar'")
    assert len(records(source)) == 3


def test_a_sample_of_very_many_members_is_refused_and_bounded(tmp_path):
    members = [(f"2024.{n}.jpg", b"x") for n in range(20_000)]
    path = write_tar(tmp_path / "a.tar", *members)
    with pytest.raises(SourceError, match="dots before the extension"):
        open_tars(path)
    path = write_tar(tmp_path / "a.tar", ("0.jpg", b"x"), *members, ("z.jpg", b"x"))
    with pytest.raises(SourceError, match="dots before the extension"):
        open_tars(path)
    early = [(f"{n:03}.jpg", b"x") for n in range(100)]
    path = write_tar(tmp_path / "a.tar", *early, *members, ("z.jpg", b"x"))
    found = records(open_tars(path))
    assert [record.image for record in found] == [b"x"] * 100 + [None, b"x"]
    assert "more than 1000 members" in found[100].problem
