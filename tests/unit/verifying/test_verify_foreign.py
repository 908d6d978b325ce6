"""Folders of shards that others made: every trap of the peers becomes a finding."""

import hashlib
import json
import tarfile

import pytest
from support.corpora import jpeg
from support.verified import codes, gzipped, member, sample, write_tar

from wdsremux.verifying.verify import verify


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def shard(out, *samples, name="train-000000.tar", **kind):
    return write_tar(out / name, [part for members in samples for part in members], **kind)


def found(out, depth="pixels"):
    return codes(verify(out, depth))


def only(out, depth="bytes"):
    (finding,) = verify(out, depth).findings
    return finding


@pytest.mark.parametrize("depth", ["entries", "bytes", "samples", "pixels"])
def test_a_clean_folder_is_clean(out, depth):
    shard(out, sample("a"), sample("b"))
    shard(out, sample("c"), name="train-000001.tar")
    report = verify(out, depth)
    assert report.findings == ()
    assert report.samples == (0 if depth == "entries" else 3)


def test_dots_in_keys_are_found(out):
    names = ("img.v2.001.jpg", "img.v2.002.jpg")
    shard(out, [member(name, jpeg(1)) for name in names])
    finding = only(out)
    assert finding.code.code == "W501"
    assert "'img.v2.001.jpg' is read as the sample 'img'" in finding.detail


def test_dots_in_extensions_are_not_dots_in_keys(out):
    shard(out, sample("a", **{"seg.png": b"x"}), sample("b", **{"seg.png": b"x"}))
    assert found(out, "samples") == []


def test_duplicate_keys_are_found_within_and_across_shards(out):
    shard(out, sample("a"), sample("b"), sample("a"))
    shard(out, sample("b"), name="train-000001.tar")
    report = verify(out, workers=1)
    assert codes(report) == [311, 118]
    assert report.findings[0].key == "a"
    assert report.findings[1].detail == "also in train-000000.tar"


def test_members_that_are_not_adjacent_are_found(out):
    one, two = sample("a"), sample("b")
    shard(out, [one[0], two[0], one[1], two[1]])
    assert found(out, "bytes") == [508, 311, 311]


def test_a_duplicate_member_of_a_sample_is_found(out):
    one = sample("a")
    shard(out, [*one, one[1]])
    finding = only(out)
    assert (finding.code.code, finding.key, finding.detail) == ("W310", "a", ".json")


@pytest.mark.parametrize("members", [[], [member("README", b"x")], [member("d", kind=b"5")]])
def test_an_empty_shard_is_found(out, members):
    shard(out, members)
    assert 313 in found(out)


def test_pax_headers_are_found_once_with_their_number(out):
    parts = [member(f"{i}.json", b"{}", pax=True) for i in range(5)]
    shard(out, parts)
    finding = only(out)
    assert finding.code.code == "W504"
    assert "and 4 more" in finding.detail


def test_names_over_100_bytes_are_found(out):
    shard(out, [member(f"{'d' * 99}.json", b"{}")])
    assert found(out) == [504, 505]


@pytest.mark.parametrize("name", ["a b.json", "ä.json", "a\\b.json", "a\tb.json", "a\x7f.json"])
def test_odd_names_are_found(out, name):
    shard(out, [member(name, b"{}")])
    assert found(out) == [506]


def test_extensions_in_upper_case_are_found(out):
    shard(out, [member("a.JPG", jpeg(1))])
    assert found(out) == [507]


@pytest.mark.parametrize("name", ["README", ".hidden.json", "__info__.json"])
def test_members_of_no_sample_are_found(out, name):
    shard(out, sample("a"), [member(name, b"{}")])
    assert found(out) == [502]


def test_folder_members_and_links_are_found(out):
    shard(out, [member("d/", kind=tarfile.DIRTYPE)], sample("a"))
    assert found(out) == [503]
    link = member("b.jpg", kind=tarfile.SYMTYPE, linkname="/etc/passwd")
    shard(out, sample("a"), [link, member("tty.jpg", kind=tarfile.CHRTYPE)])
    assert found(out) == [316]


@pytest.mark.parametrize("name", ["../../etc/x.json", "/etc/x.json", "a/../../x.json"])
def test_names_that_lead_out_are_found(out, name):
    shard(out, [member(name, b"{}")])
    assert found(out) == [315]


def test_sparse_members_are_found_and_not_parsed(out):
    info = tarfile.TarInfo("a.json")
    info.type = tarfile.GNUTYPE_SPARSE
    shard(out, [info.tobuf(tarfile.GNU_FORMAT)])
    assert found(out) == [314]


def test_mixed_members_are_found_within_and_across_shards(out):
    shard(out, sample("a"), sample("b", txt=b"x"))
    assert found(out) == [508]
    shard(out, sample("a"))
    shard(out, sample("b", txt=b"x"), name="train-000001.tar")
    report = verify(out)
    assert codes(report) == [508]
    assert report.findings[0].shard == "train-000001.tar"


@pytest.mark.parametrize("label", ['"x"', "1.5", "true", "[1]", "{}"])
def test_mixed_json_is_found_within_and_across_shards(out, label):
    other = sample("b", json=f'{{"label": {label}}}'.encode())
    shard(out, sample("a"), other)
    assert found(out, "bytes") == []
    assert found(out, "samples") == [509]
    shard(out, sample("a"))
    shard(out, other, name="train-000001.tar")
    assert found(out, "samples") == [509]


def test_null_matches_every_type_but_new_fields_are_found(out):
    shard(out, sample("a"), sample("b", json=b'{"label": null}'))
    assert found(out) == []
    shard(out, sample("a"), sample("b", json=b'{"label": 1, "new": 2}'))
    assert found(out) == [509]
    shard(out, sample("a"), sample("b", json=b"{}"))
    assert found(out) == [509]


@pytest.mark.parametrize(
    ("member_of", "expected"),
    [
        ({"json": b"{"}, [306]),
        ({"json": b"[1]"}, [306]),
        ({"cls": b"cat"}, [312]),
        ({"txt": b"\xff"}, [312]),
        ({"jpg": jpeg(1)[:200]}, [401]),
        ({"jpg": b""}, [401]),
        ({"jpg": b"<html>"}, [401]),
    ],
)
def test_undecodable_members_are_found(out, member_of, expected):
    shard(out, sample("a", **member_of))
    finding = only(out, "pixels")
    assert [int(finding.code.code[1:])] == expected
    assert finding.key == "a"


def test_images_are_decoded_at_depth_pixels_only(out):
    shard(out, sample("a", jpg=b"<html>"))
    assert found(out, "samples") == []


@pytest.mark.parametrize("end", [b"", bytes(512)])
def test_missing_end_blocks_are_found(out, end):
    shard(out, sample("a"), end=end)
    assert found(out) == [303]


def test_a_truncated_shard_is_found_with_its_complete_samples(out):
    path = shard(out, sample("a"), sample("b"))
    path.write_bytes(path.read_bytes()[:-2600])
    report = verify(out)
    assert set(codes(report)) == {302}
    assert "after the sample 'a'" in report.findings[-1].detail


def test_an_empty_file_and_one_that_is_not_a_tar_are_found(out):
    (out / "train-000000.tar").write_bytes(b"")
    assert found(out) == [313, 303]
    (out / "train-000000.tar").write_bytes(b"hello world" * 100)
    assert found(out) == [302, 301]


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar.zst"])
def test_a_compressed_tar_is_found_and_not_parsed(out, name):
    gzipped(out / name, b"x")
    report = verify(out)
    assert codes(report) == [510]
    assert report.shards == 0


@pytest.mark.parametrize(
    ("sidecar", "tar", "is_wrong"),
    [
        ("train-000000.json", "train-000000.tar", True),
        ("train-000000.tar.idx", "train-000000.tar", True),
        ("train-000000.tar.sha256", "train-000000.tar", True),
        ("train-000000.idx", "train-000000.tar", False),
        ("report.txt", "train-000000.tar", False),
        ("report.txt", "shard-000000.tar", True),
        ("sizes.json", "shard-000000.tar", True),
        ("00000.parquet", "00000.tar", True),
        ("README.md", "shard-000000.tar", False),
        (".hidden.json", "shard-000000.tar", False),
        (".nv-meta/index.json", "shard-000000.tar", False),
    ],
)
def test_sidecars_that_break_load_dataset_are_found(out, sidecar, tar, is_wrong):
    shard(out, sample("a"), name=tar)
    (out / sidecar).parent.mkdir(exist_ok=True)
    (out / sidecar).write_bytes(b"x")
    assert found(out) == ([511] if is_wrong else [])


def test_with_a_card_that_names_the_data_other_files_are_harmless(out):
    shard(out, sample("a"), name="test-set-train-0.tar")
    (out / "notes.json").write_text("{}")
    (out / "train.json").write_text("{}")
    assert sorted(found(out)) == [511, 512]
    (out / "README.md").write_text("---\nconfigs:\n- data_files: '*.tar'\n---\n")
    assert found(out) == []


def test_shards_of_no_split_beside_named_ones_are_found(out):
    shard(out, sample("a"))
    shard(out, sample("b"), name="more.tar")
    assert found(out) == [512]


def test_shards_in_folders_with_one_name_are_found(out):
    shard(out, sample("a"), name="train/0.tar")
    shard(out, sample("b"), name="test/0.tar")
    assert found(out) == [513]


def wids_index(out, **changes):
    listed = [
        {
            "url": path.name,
            "nsamples": 2,
            "filesize": path.stat().st_size,
            "md5sum": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
        }
        | changes
        for path in sorted(out.glob("*.tar"))
    ]
    (out / "index.json").write_text(json.dumps({"wids_version": 1, "shardlist": listed}))


def test_a_wids_index_is_compared(out):
    shard(out, sample("a"), sample("b"))
    wids_index(out)
    assert found(out) == []
    wids_index(out, nsamples=3)
    assert found(out) == [515]
    wids_index(out, filesize=5)
    assert found(out) == [515]
    wids_index(out, md5sum="0" * 32)
    assert found(out) == [205]
    wids_index(out, url="other.tar")
    assert found(out) == [515, 515]


def test_shards_that_an_index_has_elsewhere_are_not_an_error(out):
    shard(out, sample("a"), sample("b"))
    wids_index(out)
    index = json.loads((out / "index.json").read_bytes())
    index["shardlist"].append({"url": "https://host.invalid/x.tar", "nsamples": 5})
    (out / "index.json").write_text(json.dumps(index))
    assert found(out) == []


@pytest.mark.parametrize(
    "index",
    ["{", "[]", "{}", '{"wids_version": 2, "shardlist": []}', '{"shardlist": [{"url": 3}]}'],
)
def test_an_index_that_wids_cannot_read_is_found(out, index):
    shard(out, sample("a"))
    (out / "index.json").write_text(index)
    assert found(out) == [514]


def test_links_to_shards_are_not_followed(out, tmp_path):
    shard(out, sample("a"))
    shard(tmp_path, sample("b"), name="elsewhere.tar")
    (out / "train-000001.tar").symlink_to(tmp_path / "elsewhere.tar")
    (out / "more").symlink_to(tmp_path)
    report = verify(out)
    assert codes(report) == [109]
    assert report.samples == 1
