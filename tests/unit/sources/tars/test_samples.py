import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.errors import SourceError
from wdsremux.core.tar.headers import split_name
from wdsremux.sources.tars.samples import all_samples, group_samples, members_of_tar, read_content


def packed(members, tar_format=tarfile.USTAR_FORMAT, **facts):
    """Return a tar; a member is (name, content) or a ready TarInfo."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            for name, value in facts.items():
                setattr(info, name, value)
            tar.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def found(data, start=0):
    file = io.BytesIO(data)
    return [(m.name, read_content(file, "t", m)) for m in members_of_tar(file, "t.tar", start)]


def with_header(data, offset, **fields):
    """Return the tar with fields of one header changed and its checksum corrected."""
    places = {"size": (124, 12), "kind": (156, 1), "name": (0, 100), "flag": (482, 1)}
    block = bytearray(data[offset : offset + 512])
    for name, value in fields.items():
        start, length = places[name]
        block[start : start + length] = value.ljust(length, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:offset] + bytes(block) + data[offset + 512 :]


MEMBERS = [("a.jpg", b"x" * 700), ("a.json", b"{}"), ("d/b.jpg", b""), ("d/b.json", b"[1]")]


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
@pytest.mark.parametrize("name", ["x.jpg", "é" * 20 + ".jpg", "d/" * 60 + "e.jpg"])
def test_members_of_every_format_are_found_with_long_and_foreign_names(tar_format, name):
    members = [*MEMBERS, (name, b"z" * 513), ("last.jpg", b"q")]
    assert found(packed(members, tar_format)) == members


def test_a_long_name_counts_for_one_member_only():
    long = "n" * 150 + ".jpg"
    for tar_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        data = packed([(long, b"1"), ("short.jpg", b"2")], tar_format, mtime=1.5)
        assert found(data) == [(long, b"1"), ("short.jpg", b"2")]


def test_the_header_of_a_member_is_where_its_extension_begins():
    data = packed([("a.jpg", b"1"), ("n" * 150 + ".jpg", b"2")], tarfile.PAX_FORMAT)
    first, second = members_of_tar(io.BytesIO(data), "t.tar")
    assert second.header == first.end
    assert [name for name, _ in found(data, second.header)] == [second.name]


def test_a_large_size_in_base_256_is_understood():
    data = packed([("a.jpg", b"12345")])
    data = with_header(data, 0, size=b"\x80" + (5).to_bytes(11, "big"))
    assert found(data) == [("a.jpg", b"12345")]


def test_links_devices_and_folders_are_skipped_regardless_of_their_size():
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
    infos = []
    for kind in kinds:
        info = tarfile.TarInfo(f"x{kind.decode()}.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        infos.append(info)
    data = packed([*infos, ("a.jpg", b"1")])
    for number in range(len(kinds)):
        data = with_header(data, 512 * number, size=b"77777777777")
    assert found(data) == [("a.jpg", b"1")]


def test_a_folder_of_old_tars_is_a_file_with_a_slash():
    data = with_header(packed([("d", b""), ("a.jpg", b"1")]), 0, name=b"d/", kind=b"\0")
    assert found(data) == [("a.jpg", b"1")]


def test_data_after_the_end_of_the_archive_is_not_read():
    assert found(packed(MEMBERS) + packed([("late.jpg", b"")])) == MEMBERS


@pytest.mark.parametrize("padding", [0, 512, 3 << 20])
def test_another_archive_after_the_end_is_refused(padding):
    one, two = packed(MEMBERS), packed([("late.jpg", b"")])
    file = io.BytesIO(one + bytes(padding) + two)
    offset = len(one) + padding
    with pytest.raises(
        SourceError, match=rf"'t\.tar' contains another archive at offset {offset},"
    ):
        list(all_samples(file, "t.tar"))


@pytest.mark.parametrize("tail", [b"", bytes(512), bytes(3 << 20), b"a note".ljust(512), b"x"])
def test_other_data_after_the_end_is_skipped(tail):
    file = io.BytesIO(packed(MEMBERS) + tail)
    assert len(list(all_samples(file, "t.tar"))) == len(MEMBERS) // 2


def test_a_tar_that_ends_between_members_is_complete():
    data = packed([("a.jpg", b"x")])[:1024]
    assert found(data) == [("a.jpg", b"x")]
    assert found(b"") == []


@given(st.integers(1, len(packed(MEMBERS))))
def test_a_truncated_tar_gives_complete_members_and_an_error_or_the_end(length):
    data = packed(MEMBERS)[:length]
    whole = [
        m for m in members_of_tar(io.BytesIO(packed(MEMBERS)), "") if m.data + m.size <= length
    ]
    seen = []
    try:
        seen.extend(members_of_tar(io.BytesIO(data), "t.tar"))
    except SourceError as exc:
        assert "'t.tar' is damaged at offset" in str(exc)  # noqa: PT017 (it need not be raised)
    assert seen == whole


@given(st.binary(max_size=2048), st.integers(0, 3000))
def test_any_bytes_end_in_members_or_one_error(noise, place):
    data = packed(MEMBERS)
    data = data[:place] + noise + data[place + len(noise) :]
    try:
        for member in members_of_tar(io.BytesIO(data), "t.tar"):
            assert 0 <= member.data <= member.data + member.size <= len(data)
    except SourceError:
        pass


@pytest.mark.parametrize(
    "size",
    [b"77777777777", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"-0000000001", b"12x", b"9", b"+1 _1"],
)
def test_an_impossible_size_is_an_error_that_names_the_offset(size):
    data = with_header(packed(MEMBERS), 1536, size=size)
    with pytest.raises(SourceError, match=r"'t.tar' is damaged at offset 1536"):
        found(data)


@pytest.mark.parametrize("kind", [b"x", b"L", b"g"])
def test_an_extension_header_that_claims_much_is_not_read(kind):
    data = with_header(packed([("a.jpg", b"x" * (3 << 20))]), 0, kind=kind)
    with pytest.raises(SourceError, match="extension header"):
        found(data)


@pytest.mark.parametrize(
    "records",
    [
        b"",
        b"x",
        b"99999999999999999999999999 path=x\n",
        b"-5 a=b\n",
        b"3 a\n",
        b"0 \n",
        b"30 path=short\n",
        b"13 size=-512\n",
        b"9999 size=1\n",
    ],
)
def test_malformed_pax_records_are_ignored(records):
    data = with_header(packed([("p", records), ("a.jpg", b"1")]), 0, kind=b"x")
    assert found(data) == [("a.jpg", b"1")]


def test_a_global_pax_header_names_and_sizes_nothing():
    record = b"11 path=zz\n"
    data = with_header(packed([("p", record), ("a.jpg", b"1")]), 0, kind=b"g")
    assert found(data) == [("a.jpg", b"1")]


def test_a_compressed_tar_is_called_so():
    with pytest.raises(SourceError, match="compressed"):
        found(b"\x1f\x8b" + b"x" * 1022)


def sparse_old():
    """A GNU sparse member whose map continues in one more block, before a regular one."""
    data = packed([("s.jpg", b"x" * 512), ("s.json", b"{}"), ("a.jpg", b"1")])
    data = data[:512] + bytes(512) + data[512:]
    return with_header(data, 0, kind=b"S", flag=b"\1")


def sparse_pax():
    records = b"22 GNU.sparse.major=1\n27 GNU.sparse.name=s.jpg\n\n\n"
    data = packed([("p", records), ("GNUSparseFile.0/s", b"x"), ("s.json", b"{}"), ("a.jpg", b"1")])
    return with_header(data, 0, kind=b"x")


@pytest.mark.parametrize("data", [sparse_old(), sparse_pax()])
def test_a_sparse_member_is_a_problem_of_its_sample_only(data):
    one, two = group_samples(members_of_tar(io.BytesIO(data), "t.tar"))
    assert (one.key, two.key) == ("s", "a")
    assert "sparse" in one.problem
    assert two.problem is None


@pytest.mark.parametrize(
    ("name", "key", "field"),
    [
        ("000017.jpg", "000017", "jpg"),
        ("train/a b.seg.PNG", "train/a b", "seg.png"),
        ("v1.0/img.jpg", "v1.0/img", "jpg"),
        ("img.v2.001.jpg", "img", "v2.001.jpg"),
        ("./0.jpg", "./0", "jpg"),
        ("../../x.jpg", "../../x", "jpg"),
        ("/abs.jpg", "/abs", "jpg"),
        ("a\nb.jpg", "a\nb", "jpg"),
        (".hidden.jpg", "", ""),
        ("d/.hidden.jpg", "", ""),
        ("d/._a.jpg", "", ""),
        ("README", "", ""),
        ("__info__/x.json", "", ""),
        ("__info__", "", ""),
        ("d/__info__.json", "", ""),
        ("__init.json", "__init", "json"),
    ],
)
def test_a_name_splits_at_the_first_dot_of_its_last_part(name, key, field):
    assert split_name(name) == (key, field)


def test_only_adjacent_members_make_a_sample():
    names = ["a.jpg", "__meta__.json", "a.json", "b.jpg", "a.txt"]
    samples = list(group_samples(members_of_tar(io.BytesIO(packed((n, b"") for n in names)), "t")))
    assert [(s.key, list(s.members)) for s in samples] == [
        ("a", ["jpg", "json"]),
        ("b", ["jpg"]),
        ("a", ["txt"]),
    ]


def test_a_duplicate_field_is_a_problem():
    data = packed([("a.jpg", b"1"), ("a.JPG", b"2"), ("b.jpg", b"3")])
    one, two = group_samples(members_of_tar(io.BytesIO(data), "t"))
    assert "two members" in one.problem
    assert two.problem is None


def cut_after(members):
    """Return a tar of these members without its end blocks."""
    size = sum(512 + -(-len(content) // 512) * 512 for _, content in members)
    return io.BytesIO(packed(members)[:size])


def test_a_tar_cut_between_image_and_json_is_refused_by_name():
    with pytest.raises(SourceError, match=r"'t\.tar'.*without end blocks.*'d/b' lacks \.json"):
        list(all_samples(cut_after(MEMBERS[:3]), "t.tar"))


def test_a_tar_of_complete_samples_without_end_blocks_is_accepted():
    assert [s.key for s in all_samples(cut_after(MEMBERS), "t.tar")] == ["a", "d/b"]


def test_a_last_sample_with_fewer_members_is_accepted_in_a_complete_tar():
    assert [s.key for s in all_samples(io.BytesIO(packed(MEMBERS[:3])), "t.tar")] == ["a", "d/b"]


def test_a_member_that_others_lack_as_well_is_not_missed():
    members = [("a.jpg", b"1"), ("b.jpg", b"2"), ("b.json", b"{}"), ("c.jpg", b"3")]
    assert len(list(all_samples(cut_after(members), "t.tar"))) == 3
