"""Tars made to do harm: a finding each, in bounded time and memory, and nothing outside is touched.

Time is bounded by what is read, not by a stop-watch: `bytes` of the report say how much that was.
"""

import io
import os
import struct
import tarfile
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.corpora import jpeg
from support.verified import codes, make_dataset, member, patched, sample, write_tar

from wdsremux.core.tar.blocks import BlockReader
from wdsremux.verifying.checks.member_contents import ImageCheck, Schema
from wdsremux.verifying.checks.structure import MAX_FIELDS, SAMPLES_AT_ONCE, Expected, ShardWalk
from wdsremux.verifying.reports import Collector
from wdsremux.verifying.verify import verify

MB = 1 << 20
NAME = "train-000000.tar"


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def peak_of(out, depth):
    """Return the report and the peak of Python's memory while it was made."""
    verify(out, depth)  # imports and caches are not what is measured
    tracemalloc.start()
    try:
        report = verify(out, depth)
        return report, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("depth", ["bytes", "pixels"])
def test_a_file_that_is_one_hole_costs_nothing(out, depth):
    write_tar(out / NAME, sample("a"), end=b"")
    with (out / NAME).open("r+b") as file:
        file.truncate(1 << 43)
    report, peak = peak_of(out, depth)
    assert codes(report) == [304]
    assert report.size_bytes < 4 * MB
    assert peak < 20 * MB


@pytest.mark.parametrize("depth", ["bytes", "pixels"])
def test_a_hole_behind_a_recorded_shard_costs_nothing(tmp_path, depth):
    made = make_dataset(tmp_path / "made")
    first = min(made.glob("*.tar"))
    whole = first.stat().st_size
    with first.open("r+b") as file:
        file.truncate(1 << 43)
    assert codes(verify(made, depth)) == [108]
    with first.open("r+b") as file:
        file.seek(1 << 42)
        file.write(b"x")
    report = verify(made, depth)
    assert codes(report) == [108, 202]
    assert [finding.offset for finding in report.findings] == [None, 1 << 42]
    assert report.size_bytes < whole * 20 + 4 * MB


def test_a_member_that_is_one_hole_costs_nothing(out):
    info = tarfile.TarInfo("a.bin")
    info.size = 1 << 42
    write_tar(out / NAME, [info.tobuf(tarfile.GNU_FORMAT)], end=b"")
    with (out / NAME).open("r+b") as file:
        file.truncate((1 << 42) + 2048)
    report, peak = peak_of(out, "pixels")
    assert codes(report) == []
    assert report.size_bytes < 4 * MB
    assert peak < 20 * MB


@pytest.mark.parametrize("name", ["a.json", "a.jpg", "a.txt"])
def test_a_huge_member_is_not_held_in_memory(out, name):
    info = tarfile.TarInfo(name)
    info.size = 1 << 40
    write_tar(out / NAME, [info.tobuf(tarfile.GNU_FORMAT)], end=b"")
    with (out / NAME).open("r+b") as file:
        file.truncate((1 << 40) + 2048)
    report, peak = peak_of(out, "pixels")
    assert codes(report) == [312]
    assert peak < 20 * MB


def test_many_members_take_no_more_memory_than_few(out):
    """30,000 members; each of them a sample of its own."""
    names = (f"{i:07d}.bin" for i in range(30_000))
    with (out / NAME).open("wb") as file:
        for name in names:
            file.write(member(name, b""))
        file.write(bytes(1024))
    report, peak = peak_of(out, "pixels")
    assert codes(report) == []
    assert report.samples == 30_000
    assert peak < 20 * MB


def walked(path):
    """Return the samples of a tar in the chunks in which they are handed out."""
    expected = Expected(depth="bytes", schema=Schema({}), images=ImageCheck(None), is_ours=False)
    chunks = []
    with path.open("rb", buffering=0) as file:
        ShardWalk(expected, Collector(NAME), chunks.append).run(BlockReader(file))
    return chunks


def test_many_members_of_one_sample_use_bounded_memory(out):
    ((only,),) = walked(write_tar(out / NAME, [member(f"a.{i}", b"") for i in range(3000)]))
    assert len(only.fields) == MAX_FIELDS


def test_samples_are_returned_in_chunks(out):
    parts = [member(f"{i}.bin", b"") for i in range(SAMPLES_AT_ONCE + 5)]
    assert [len(chunk) for chunk in walked(write_tar(out / NAME, parts))] == [SAMPLES_AT_ONCE, 5]


def test_many_faults_are_counted_but_not_all_stored(out):
    one = sample("a")[1]
    write_tar(out / NAME, [one] * 20_000)
    report, peak = peak_of(out, "bytes")
    assert set(codes(report)) == {310}
    assert len(report.findings) == 1001
    assert report.findings[-1].detail == "and 18999 more like it"
    assert peak < 20 * MB


def test_chains_of_extension_headers_end(out):
    long_name = member("././@LongLink", b"x" * 5000 + b"\0")
    chain = patched(long_name[:512], 156, b"L") + long_name[512:]
    write_tar(out / NAME, [chain] * 2000 + sample("a"))
    report, peak = peak_of(out, "pixels")
    assert set(codes(report)) <= {502, 504, 505}
    assert peak < 20 * MB


@pytest.mark.parametrize("text", [b"[" * 5_000_000, b'{"a":' * 1_000_000, b"9" * 5_000_000])
def test_json_made_to_break_parsers_is_a_finding(out, text):
    write_tar(out / NAME, sample("a", json=text))
    assert codes(verify(out, "samples")) == [306]


def test_a_decompression_bomb_is_refused_by_its_header(out):
    file = io.BytesIO()
    Image.new("1", (8, 8)).save(file, "PNG")
    png = bytearray(file.getvalue())
    png[16:24] = struct.pack(">II", 60_000, 60_000)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    write_tar(out / NAME, sample("a", png=bytes(png)))
    report, peak = peak_of(out, "pixels")
    assert codes(report) == [401]
    assert "pixels" in report.findings[0].detail
    assert peak < 60 * MB


def test_nothing_is_written_where_names_and_links_point(out, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    parts = [
        member("../secret.json", b"{}"),
        member(f"{tmp_path}/made.json", b"{}"),
        member("l", kind=tarfile.SYMTYPE, linkname="../secret"),
        member("l/made.json", b"{}"),
        member("hard.json", kind=tarfile.LNKTYPE, linkname="../secret"),
    ]
    write_tar(out / NAME, parts)
    before = sorted(path for path in tmp_path.rglob("*"))
    report = verify(out, "pixels", quarantine=True)
    assert {315, 316} <= set(codes(report))
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert secret.read_bytes() == b"secret"


def test_a_tar_that_is_cut_anywhere_is_a_finding(out):
    path = write_tar(out / NAME, sample("a") + sample("b"))
    data = path.read_bytes()
    for end in [*range(0, len(data) - 1024, 97), len(data) - 513, len(data) - 1]:
        path.write_bytes(data[:end])
        assert verify(out, "pixels", workers=1).exit_code == 1


@settings(max_examples=150)
@given(st.data())
def test_a_tar_with_damage_anywhere_never_breaks_the_checker(tmp_path_factory, data):
    out = tmp_path_factory.mktemp("out")
    path = write_tar(out / NAME, sample("a") + sample("b", cls=b"1") + [member("c.png", pax=True)])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=12))
        content[at : at + len(piece)] = piece
    path.write_bytes(content)
    report = verify(out, "pixels", workers=1)
    assert report.exit_code in (0, 1)
    for finding in report.findings:
        assert finding.line().isprintable()


@settings(max_examples=60)
@given(st.binary(max_size=4000))
def test_any_bytes_are_checked_without_an_error(tmp_path_factory, content):
    out = tmp_path_factory.mktemp("out")
    (out / NAME).write_bytes(content)
    assert verify(out, "pixels", workers=1).exit_code == 1


def test_random_headers_with_valid_checksums_are_checked_without_an_error(out):
    rng = np.random.default_rng(7)
    base = member("a.jpg", jpeg(1))
    for _ in range(150):
        header = bytearray(rng.bytes(512)) if rng.random() < 0.5 else bytearray(base[:512])
        at = int(rng.integers(0, 500))
        header[at : at + 4] = rng.bytes(4)
        header[156] = b"0127xgLKS\0"[rng.integers(10)]
        write_tar(out / NAME, [patched(bytes(header), 0, bytes(header[:1])), base[512:]])
        assert verify(out, "pixels", workers=1).exit_code in (0, 1)


def test_names_of_invalid_unicode_are_shown_escaped(out):
    name = os.fsdecode(b"\xff\xfe.tar")
    write_tar(out / name, [patched(member("a.json", b"{}"), 0, b"\xff\x1b[2J")])
    report = verify(out, "pixels")
    assert report.exit_code == 1
    for finding in report.findings:
        assert finding.line().isprintable()
