"""The columns of tars: JSON keys and other members of samples, and members that cannot be read."""

import json
import tarfile

import pytest
from support.sources import records, write_tar

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.tars.source import open_tars


def names(source):
    return {column.name: column.dtype for column in source.features()}


def test_the_keys_of_json_are_columns_with_their_types(tmp_path):
    rows = [{"a": 1, "b": None, "c": ["x"]}, {"a": 1.5, "b": "x", "d": {"e": True}}]
    samples = [(str(i), {"jpg": b"", "json": json.dumps(r).encode()}) for i, r in enumerate(rows)]
    source = open_tars(write_tar(tmp_path / "a.tar", samples))

    assert names(source) == {
        "image": "image",
        "a": "float64",
        "b": "string",
        "c": {"list": "string"},
        "d": {"struct": {"e": "bool"}},
        "key": "string",
    }
    assert records(source)[1].fields == {**rows[1], "c": None, "key": "1"}


def test_other_members_are_columns_by_their_suffix(tmp_path):
    members = {
        "jpg": b"i",
        "cls": b"7\n",
        "txt": "é".encode(),
        "caption.txt": b"c",
        "key.txt": b"d",
        "id": b"12",
        "meta.json": b'{"x": 1}',
        "npy": b"\x93NUMPY",
        "mp4": b"no image",
    }
    source = open_tars(write_tar(tmp_path / "a.tar", [("k", members)]))
    (record,) = records(source)
    assert record.fields == {
        "label": 7,
        "txt": "é",
        "caption": "c",
        "key_txt": "d",
        "id": 12,
        "meta": {"x": 1},
        "key": "k",
    }


def test_a_json_that_is_not_an_object_is_one_column(tmp_path):
    source = open_tars(write_tar(tmp_path / "a.tar", [("k", {"jpg": b"", "json": b"[1, 2]"})]))
    assert names(source)["json"] == {"list": "int64"}
    assert records(source)[0].fields["json"] == [1, 2]


def test_a_json_key_called_like_a_member_gets_another_name(tmp_path):
    members = {"jpg": b"i", "cls": b"1", "json": b'{"label": 2, "image": 3, "key": 4}'}
    (record,) = records(open_tars(write_tar(tmp_path / "a.tar", [("k", members)])))
    assert record.image == b"i"
    assert record.fields == {
        "label": 1,
        "json_label": 2,
        "json_image": 3,
        "json_key": 4,
        "key": "k",
    }


def test_one_image_under_varying_suffixes_is_one_column(tmp_path):
    samples = [
        ("a", {"jpg": b"1"}),
        ("b", {"PNG": b"2"}),
        ("c", {"jpeg": b"3"}),
        ("d", {"txt": b""}),
    ]
    found = records(open_tars(write_tar(tmp_path / "a.tar", samples)))
    assert [record.image for record in found] == [b"1", b"2", b"3", None]


def test_a_mask_beside_the_image_is_another_column(tmp_path):
    members = {"jpg": b"i", "seg.png": b"s", "json": b"{}"}
    source = open_tars(write_tar(tmp_path / "a.tar", [("k", members)]))
    assert [c for c in source.features() if c.dtype == "image"] == [
        Column("image", "image"),
        Column("seg", "image"),
    ]
    assert records(source, image="seg")[0].image == b"s"


def test_two_bare_images_in_one_sample_are_two_columns(tmp_path):
    samples = [("a", {"jpg": b"1"}), ("b", {"jpg": b"2", "png": b"3"})]
    source = open_tars(write_tar(tmp_path / "a.tar", samples))
    assert [n for n, dtype in names(source).items() if dtype == "image"] == ["jpg", "png"]
    assert [r.image for r in records(source, image="png")] == [None, b"3"]


@pytest.mark.parametrize(
    "member",
    [
        {"json": b"{broken"},
        {"json": b"[" * 200_000},
        {"json": b"\xff\xfe"},
        {"cls": b"seven"},
        {"cls": b"9" * 5000},
        {"txt": b"\xff"},
    ],
)
def test_a_member_that_is_not_what_its_name_says_is_a_problem_of_its_sample(tmp_path, member):
    good = {"jpg": b"i", "json": b'{"a": 1}', "cls": b"1", "txt": b"t"}
    samples = [("a", good), ("b", {**good, **member}), ("c", good)]
    found = records(open_tars(write_tar(tmp_path / "a.tar", samples)))
    assert [bool(record.problem) for record in found] == [False, True, False]
    assert "'b'" in found[1].problem


def test_a_broken_first_sample_does_not_hide_the_columns(tmp_path):
    samples = [("a", {"jpg": b"", "json": b"{"}), ("b", {"jpg": b"", "json": b'{"x": 1}'})]
    assert names(open_tars(write_tar(tmp_path / "a.tar", samples)))["x"] == "int64"


def test_a_row_knows_its_tar_and_its_sample(tmp_path):
    samples = [("a", {"jpg": b"i", "cls": b"1"}), ("x/b", {"jpg": b"i", "cls": b"no number"})]
    found = records(open_tars(write_tar(tmp_path / "a.tar", samples)))
    assert [r.location for r in found] == ["'a.tar', sample 'a'", "'a.tar', sample 'x/b'"]


def test_unused_members_are_not_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a", {"jpg": b"i", "json": b"{broken", "txt": b"\xff"})])
    source = open_tars(path)
    (unit,) = source.units("train", Columns("image", None, (), None), 0)
    (record,) = unit.read(0, 1)
    assert (record.image, record.fields, record.problem) == (b"i", {}, None)


def test_a_huge_member_is_a_problem_and_not_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a", {"jpg": b""}), ("b", {"jpg": b"i"})])
    with path.open("r+b") as file:  # a hole of 2 GiB on the disk
        tail = path.read_bytes()[512:]
        info = tarfile.TarInfo("a.jpg")
        info.size = 2 << 30
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.seek(512 + info.size)
        file.write(tail)
    big, small = records(open_tars(path))
    assert "1 GiB" in big.problem
    assert small.image == b"i"


def test_names_with_dots_that_hide_the_image_column_are_reported(tmp_path):
    path = tmp_path / "dotted.tar"
    write_tar(path, [(f"{i}.v2", {"jpg": b"image", "json": b"{}"}) for i in range(3)])
    with pytest.raises(SourceError, match=r"names have dots .* for example 'v2\.jpg', .* W501"):
        open_tars(path)
    write_tar(path, [(f"{i}", {"seg.png": b"image", "json": b"{}"}) for i in range(3)])
    assert "seg" in names(open_tars(path))
