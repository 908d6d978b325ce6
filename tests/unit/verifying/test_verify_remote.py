"""`verify` and `index` behind a URL: proven without reading, or read with --deep."""

import json

import pytest
from support.ranged_store import URL, RangedStore, named
from support.verified import SHARD, codes, make_dataset, sample

import wdsremux
from wdsremux.cli.main import main
from wdsremux.core.errors import StoreError, UnreachableStoreError, UsageError
from wdsremux.verifying.index import index
from wdsremux.verifying.verify import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def store(made, monkeypatch):
    """Return a target that holds the dataset and is what URL names."""
    return named(RangedStore(made), monkeypatch)


def damage(store, name=SHARD, at=700):
    data = bytearray(store.files[name])
    data[at] ^= 1
    store.files[name] = bytes(data)


def test_a_clean_output_is_verified_without_reading_a_shard(store):
    report = verify(URL)
    assert report.findings == ()
    assert report.exit_code == 0
    assert report.proofs == {"checksum": 5}
    assert (report.samples, report.checked_shards, report.size_bytes) == (38, 5, 0)
    assert store.shards_asked() == set()


def test_a_changed_copy_is_reported(store):
    manifest = json.loads(store.files["index.json"])
    receipts = {SHARD: {"etag": "abc"}}
    manifest["published"] = {"at": URL, "loaders": {}, "receipts": receipts}
    store.files["index.json"] = json.dumps(manifest).encode()
    store.level = "unverified"
    reported = {finding.shard: finding.detail for finding in verify(URL).findings}
    assert reported.pop(SHARD) == "it was overwritten since it was uploaded"
    assert set(reported.values()) == {"the server tells no checksum"}


def test_the_receipts_of_the_manifest_are_passed_to_the_store(store):
    manifest = json.loads(store.files["index.json"])
    receipts = {SHARD: {"crc64nvme": "abc="}}
    manifest["published"] = {"at": URL, "loaders": {}, "receipts": receipts}
    store.files["index.json"] = json.dumps(manifest).encode()
    verify(URL)
    asked = {name: sums.receipt for name, sums in store.proven}
    assert asked.pop(SHARD) == {"crc64nvme": "abc="}
    assert set(map(len, asked.values())) == {0}


def test_other_bytes_of_the_same_size_are_found_without_reading(store):
    damage(store)
    report = verify(URL)
    assert codes(report) == [205]
    assert report.proofs == {"checksum": 4, "differs": 1}
    assert "CRC64NVME of the whole object" in report.findings[0].line()
    assert store.shards_asked() == set()


def test_deep_names_the_sample_of_a_flipped_bit(store):
    damage(store)
    report = verify(URL, deep=True)
    assert codes(report) == [201]
    assert report.findings[0].shard == SHARD
    assert report.findings[0].offset == 700
    assert report.proofs == {}
    assert len(store.shards_asked()) == 5


@pytest.mark.parametrize("depth", ["samples", "pixels"])
def test_greater_depths_give_the_same_result_as_in_a_folder(store, made, depth):
    there, here = verify(URL, depth, deep=True), verify(made, depth, deep=True)
    assert there.findings == here.findings == ()
    assert (there.samples, there.size_bytes) == (here.samples, here.size_bytes)


def test_the_depth_entries_reads_no_shard_and_sends_no_request(store):
    assert verify(URL, "entries").exit_code == 0
    assert store.proven == []
    assert store.shards_asked() == set()


def test_unverifiable_shards_are_reported(store):
    store.level = "unverified"
    report = verify(URL)
    assert codes(report) == [206] * 5
    assert (report.errors, report.warnings, report.exit_code) == (0, 5, 1)
    assert report.proofs == {"unverified": 5}


def test_a_missing_shard_and_a_shard_of_another_size_are_found(store):
    del store.files[SHARD]
    store.files["train-000002.tar"] += b"x" * 512
    report = verify(URL)
    assert sorted(codes(report)) == [106, 108]


def test_a_forbidden_shard_is_a_finding(store):
    store.level = "refuses"
    assert codes(verify(URL)) == [110] * 5


def test_an_unreachable_server_is_not_a_finding(store):
    store.is_away = True
    with pytest.raises(StoreError, match="away"):
        verify(URL)


def test_a_server_lost_in_the_middle_is_not_a_finding(store, monkeypatch):
    def away(*_ignored):
        store.is_away = True
        raise UnreachableStoreError("the server went away")

    monkeypatch.setattr(store, "prove", away)
    with pytest.raises(StoreError, match="went away"):
        verify(URL)


def test_an_unreadable_shard_on_a_working_server_is_a_finding(store, monkeypatch):
    opened = store.open

    def cut(name):
        if name == SHARD:
            raise UnreachableStoreError("cannot read it: the answer was cut")
        return opened(name)

    monkeypatch.setattr(store, "open", cut)
    report = verify(URL, deep=True)
    assert codes(report) == [110]
    assert report.findings[0].shard == SHARD


@pytest.mark.parametrize(
    "options",
    [
        {"depth": "samples"},
        {"depth": "pixels"},
        {"depth": "entries", "deep": True},
        {"quarantine": True},
    ],
    ids=str,
)
def test_options_that_need_a_folder_are_refused_for_a_url(store, options):
    with pytest.raises(UsageError, match=r"--deep|--quarantine"):
        verify(URL, **options)
    assert store.shards_asked() == set()


def test_deep_reads_the_disk_of_a_folder(made):
    assert verify(made, deep=True).exit_code == 0
    with pytest.raises(UsageError, match="--deep"):
        verify(made, "entries", deep=True)


def test_repair_recommends_the_local_copy():
    with pytest.raises(UsageError, match=r"repair the local copy.*sync"):
        wdsremux.repair("s3://bucket/out")


def test_the_closing_line_counts_verified_shards(store, capsys):
    assert main(["verify", URL]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("clean: 38 samples in 5 shards, 5 by checksum, ")
    damage(store)
    assert main(["verify", URL, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["proofs"] == {"checksum": 4, "differs": 1}
    assert main(["verify", URL, "--deep", "--depth", "samples"]) == 1
    assert "sample '" in capsys.readouterr().out


def test_shards_of_other_tools_are_indexed_at_their_url(store):
    store.files.clear()
    for number, keys in enumerate(("abc", "de")):
        parts = [part for key in keys for part in sample(key, ord(key))]
        store.files[f"{number:05d}.tar"] = b"".join([*parts, bytes(1024)])
    assert codes(verify(URL)) == [206, 206]
    assert verify(URL, "pixels", deep=True).findings == ()
    manifest = index(URL)
    assert manifest.totals.samples == 5
    assert manifest.head.name == "out"
    assert {"index.json", "README.md", ".wdsremux/00000.msgpack"} < set(store.files)
    report = verify(URL)
    assert (report.findings, report.proofs) == ((), {"checksum": 2})
    damage(store, "00001.tar")
    assert [finding.key for finding in verify(URL, deep=True).findings] == ["d"]


def test_a_damaged_shard_is_not_indexed_and_nothing_is_left(store):
    shard = store.files[SHARD][:5000]
    store.files.clear()
    store.files["a.tar"] = shard
    with pytest.raises(wdsremux.WdsremuxError, match="damaged shard"):
        index(URL)
    assert set(store.files) == {"a.tar"}
