import tarfile

import pytest
from support.readers import webdataset_samples, wids_samples
from support.verified import (
    codes,
    copied,
    entry_path,
    flip,
    make_dataset,
    member,
    sample,
    write_tar,
)

import wdsremux.verifying.index
from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.manifest import Manifest
from wdsremux.dataset.entry import ShardEntry
from wdsremux.verifying.index import index
from wdsremux.verifying.verify import verify


@pytest.fixture
def out(tmp_path):
    """Return a folder of three plain shards."""
    folder = tmp_path / "out"
    for number, keys in enumerate(("abc", "de", "fgh")):
        parts = [part for key in keys for part in sample(key, ord(key))]
        write_tar(folder / f"{number:05d}.tar", parts)
    return folder


def state(out):
    return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_the_manifest_lists_every_shard(out):
    before = state(out)
    manifest = index(out)
    assert manifest == Manifest.from_bytes((out / "index.json").read_bytes())
    assert [shard.name for shard in manifest.shards] == ["00000.tar", "00001.tar", "00002.tar"]
    assert [shard.samples for shard in manifest.shards] == [3, 2, 3]
    assert [(shard.start, shard.stop) for shard in manifest.shards] == [(0, 3), (3, 5), (5, 8)]
    assert [shard.is_last for shard in manifest.shards] == [False, False, True]
    assert manifest.patterns() == {"train": ["{00000..00002}.tar"]}
    assert {name: data for name, data in state(out).items() if name in before} == before


@pytest.mark.parametrize("depth", ["entries", "bytes", "samples", "pixels"])
def test_an_indexed_folder_is_clean_at_every_depth(out, depth):
    index(out)
    report = verify(out, depth)
    assert report.findings == ()
    assert report.samples == 8


def test_readers_open_the_folder_by_its_index_patterns_and_card(out, tmp_path):
    (pattern,) = index(out).patterns()["train"]
    assert [found["__key__"] for found in webdataset_samples(out, pattern)] == list("abcdefgh")
    found = wids_samples(out / "index.json", tmp_path / "cache")
    assert [sample["__key__"] for sample in found] == list("abcdefgh")
    assert "path: '*.tar'" in (out / "README.md").read_text()


def test_a_flipped_bit_is_named_after_indexing(out):
    index(out)
    path = out / "00001.tar"
    entry = ShardEntry.from_bytes(entry_path(out, "00001.tar").read_bytes(), "x")
    for sample_entry in entry.samples():
        for offset in (sample_entry.offset + 9, sample_entry.members[0][1] + 4):
            flip(path, offset, 5)
            (finding,) = verify(out).findings
            assert (finding.key, finding.offset) == (sample_entry.key, offset)
            flip(path, offset, 5)


def test_tars_that_no_plain_entry_describes_are_traced_to_the_sample(tmp_path):
    """PAX headers, folder members, other members in every sample: offsets and CRCs still hold."""
    out = tmp_path / "out"
    parts = [
        member("d/", kind=b"5"), member("a.json", b"{}", pax=True), member("a.txt", b"x"),
        member("e/", kind=b"5"), member("b.json", b"{}"), member("f/", kind=b"5"),
    ]  # fmt: skip
    path = write_tar(out / "train-0.tar", parts)
    index(out)
    assert 201 not in codes(verify(out))
    entry = ShardEntry.from_bytes(entry_path(out, "train-0.tar").read_bytes(), "x")
    assert entry.extensions == ()
    assert sum(entry.sizes) == path.stat().st_size - 1024
    end_of_a = entry.sizes[0]
    for offset in (3, end_of_a - 1, end_of_a, sum(entry.sizes) - 1):
        flip(path, offset)
        (finding,) = [f for f in verify(out).findings if f.code.code == "W201"]
        assert (finding.key, finding.offset) == ("a" if offset < end_of_a else "b", offset)
        flip(path, offset)


@pytest.mark.parametrize("between", [member("d/", kind=b"5"), member("README", b"x" * 700)])
def test_members_between_samples_belong_to_one_of_them(tmp_path, between):
    out = tmp_path / "out"
    path = write_tar(
        out / "train-0.tar", [member("a.json", b"{}"), between, member("b.json", b"{}")]
    )
    index(out)
    assert verify(out).findings == ()
    flip(path, 1024 + 700)
    assert verify(out).findings[0].key == ("b" if len(between) == 512 else "a")


def test_splits_come_from_the_names(tmp_path):
    out = tmp_path / "out"
    for name, key in (("test-0.tar", "a"), ("train-0.tar", "b"), ("train-1.tar", "c")):
        write_tar(out / name, sample(key))
    manifest = index(out)
    assert manifest.patterns() == {"train": ["train-{0..1}.tar"], "test": ["test-0.tar"]}
    assert [shard.first_position for shard in manifest.shards] == [0, 1, 2]
    assert verify(out).findings == ()
    assert "path: train-*.tar" in (out / "README.md").read_text()


def test_a_card_of_the_user_is_kept(out):
    (out / "README.md").write_text("mine")
    index(out)
    assert (out / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    "damage",
    [
        lambda out: flip(out / "00001.tar", 30),
        lambda out: write_tar(out / "00001.tar", []),
        lambda out: write_tar(out / "00001.tar", sample("a")),
        lambda out: write_tar(out / "00001.tar", [*sample("x"), *sample("y"), *sample("x")]),
        lambda out: (out / "00002.tar").write_bytes(b"x" * 700),
    ],
)
def test_a_folder_with_errors_is_refused_and_unchanged(out, damage):
    damage(out)
    before = state(out)
    with pytest.raises(CorruptDataError, match=r"W\d\d\d error 0000[12].tar"):
        index(out)
    assert state(out) == before


def test_a_run_that_fails_leaves_nothing_behind(out, monkeypatch):
    before = state(out)

    def fails(_manifest, _names):
        raise KeyboardInterrupt

    monkeypatch.setattr(wdsremux.verifying.index, "plain_card_bytes", fails)
    with pytest.raises(KeyboardInterrupt):
        index(out)
    assert state(out) == before


@pytest.mark.parametrize("head", [b"", member("a/", kind=tarfile.DIRTYPE)], ids=["hole", "folder"])
def test_a_tar_that_is_one_hole_is_refused_at_once(out, head):
    with (out / "00001.tar").open("wb") as file:
        file.write(head)
        file.truncate(1 << 43)
    before = {path.name: path.stat().st_size for path in out.iterdir()}
    with pytest.raises(CorruptDataError, match=r"W313 error 00001.tar"):
        index(out)
    assert {path.name: path.stat().st_size for path in out.iterdir()} == before


def test_observers_get_every_byte_of_both_passes(out):
    # Behind a hole, which the first reading jumps over.
    with (out / "00001.tar").open("r+b") as file:
        file.truncate(1 << 22)
    reported = []
    index(out, observer=reported.append)
    begun, *advanced = reported
    sizes = [path.stat().st_size for path in out.glob("*.tar")]
    assert (begun.shards, begun.size_bytes) == (3, 2 * sum(sizes))
    assert sum(event.size_bytes for event in advanced) == begun.size_bytes
    assert sum(event.shards for event in advanced) == 3
    assert verify(out, "pixels").findings[0].code.code == "W304"


def test_a_huge_shard_is_not_read_to_its_end_when_another_is_refused(out):
    (out / "00000.tar").write_bytes(b"x" * 700)
    with (out / "00001.tar").open("r+b") as file:
        file.truncate(1 << 43)
    with pytest.raises(CorruptDataError, match=r"W301 error 00000.tar"):
        index(out)


def test_a_wdsremux_dataset_is_refused(tmp_path):
    out = make_dataset(tmp_path / "out", rows=3, broken=())
    with pytest.raises(UsageError, match="repair"):
        index(out)
    again = copied(out, tmp_path / "again")
    (again / "index.json").unlink()
    with pytest.raises(UsageError, match="repair"):
        index(again)


def test_a_foreign_index_is_not_replaced(out):
    (out / "index.json").write_text('{"wids_version": 1, "shardlist": []}')
    with pytest.raises(UsageError, match="remove it"):
        index(out)


def test_folders_that_cannot_be_indexed_are_refused(out, tmp_path):
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(CorruptDataError):
            index(place)
    write_tar(out / "train-000003.tar", sample("z"))
    with pytest.raises(UsageError, match="split"):
        index(out)
    (out / "train-000003.tar").unlink()
    write_tar(out / "sub/x.tar", sample("z"))
    with pytest.raises(UsageError, match="subfolder"):
        index(out)
    (out / "sub/x.tar").unlink()
    (out / "link.tar").symlink_to("00000.tar")
    with pytest.raises(UsageError, match="link"):
        index(out)


@pytest.mark.parametrize("overwrite", [False, True])
def test_convert_never_removes_or_replaces_shards_that_were_only_indexed(out, overwrite):
    index(out)
    before = state(out)
    with pytest.raises(UsageError, match="choose an empty folder"):
        make_dataset(out, rows=3, broken=(), overwrite=overwrite)
    assert state(out) == before
