"""Damaged copies of a real output: every fault of its shards is found, named, and nothing else is."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
from support.verified import SHARD, codes, copied, entry_of, entry_path, flip, make_dataset

import wdsremux
from wdsremux.core import cpus
from wdsremux.core.errors import CorruptDataError, StoreError, UsageError
from wdsremux.core.events import CheckAdvanced, CheckBegun
from wdsremux.core.tar.blocks import BlockReader
from wdsremux.stores.folder.store import FolderStore
from wdsremux.verifying import reports
from wdsremux.verifying import verify as verifying
from wdsremux.verifying.findings import Code
from wdsremux.verifying.reports import DEPTHS
from wdsremux.verifying.verify import verify

FLIPS = 400


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def out(made, tmp_path):
    return copied(made, tmp_path / "out")


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_real_output_is_clean_at_every_depth(made, depth):
    report = verify(made, depth)
    assert report.findings == ()
    assert report.exit_code == 0
    assert report.samples == 38
    assert report.shards == report.checked_shards == 5
    read = sum(path.stat().st_size for path in made.glob("*.tar"))
    assert report.size_bytes == (0 if depth == "entries" else read)


def test_the_outputs_of_the_other_writers_are_clean(tmp_path):
    with wdsremux.ShardWriter(tmp_path / "w", split="validation") as shards:
        for i in range(3):
            shards.write({"__key__": f"k{i}", "txt": "a", "json": {"n": i}})
    assert verify(tmp_path / "w", "pixels").findings == ()
    make_dataset(tmp_path / "copies", rows=9, broken=(), copies=2, steps=["hflip"])
    assert verify(tmp_path / "copies", "pixels").findings == ()


def test_400_flipped_bits_are_found_and_named(made, out):
    """Every flip by itself: its shard, its sample, its byte, at the default depth."""
    rng = np.random.default_rng(20)
    shards = sorted(out.glob("*.tar"))
    named = 0
    for _ in range(FLIPS):
        path = shards[rng.integers(len(shards))]
        offset, bit = int(rng.integers(path.stat().st_size)), int(rng.integers(8))
        flip(path, offset, bit)
        (finding,) = verify(out, workers=1).findings
        flip(path, offset, bit)
        own = [s for s in entry_of(out, path.name).samples() if s.offset <= offset]
        in_sample = offset < own[-1].offset + own[-1].size_bytes
        expected = (201, own[-1].key) if in_sample else (202, None)
        assert (int(finding.code.code[1:]), finding.key) == expected
        named += (finding.shard, finding.offset) == (path.name, offset)
    assert named == FLIPS


def test_400_flipped_bits_at_once_name_every_sample_that_is_hit(made, out):
    rng = np.random.default_rng(21)
    hit = set()
    for _ in range(FLIPS):
        path = sorted(out.glob("*.tar"))[rng.integers(5)]
        offset = int(rng.integers(path.stat().st_size))
        flip(path, offset, int(rng.integers(8)))
        entry = entry_of(out, path.name)
        hit |= {
            (path.name, s.key)
            for s in entry.samples()
            if s.offset <= offset < s.offset + s.size_bytes
        }
    report = verify(out)
    found = {(f.shard, f.key) for f in report.findings if f.code.code == "W201"}
    assert len(hit) > 30
    assert found == hit


@pytest.mark.parametrize("depth", ["bytes", "samples", "pixels"])
def test_every_depth_names_the_damaged_sample_by_its_entry(out, depth):
    sample = list(entry_of(out).samples())[2]
    flip(out / SHARD, sample.offset + 30, 1)  # in a header: a walk goes astray from here on
    (finding,) = verify(out, depth).findings
    assert (finding.code.code, finding.shard, finding.key) == ("W201", SHARD, sample.key)
    assert finding.offset == sample.offset + 30


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_truncated_shard_reports_which_samples_are_complete(out, depth):
    samples = list(entry_of(out).samples())
    os.truncate(out / SHARD, samples[4].offset + 5)
    (finding,) = verify(out, depth).findings
    assert finding.code.code == "W108"
    assert f"4 of {len(samples)} samples are intact" in finding.detail
    assert repr(samples[4].key) in finding.detail


def test_a_shard_that_only_lost_its_end_blocks_has_every_sample(out):
    entry = entry_of(out)
    os.truncate(out / SHARD, sum(entry.sizes))
    (finding,) = verify(out).findings
    assert f"{len(entry.keys)} of {len(entry.keys)} samples are intact" in finding.detail
    assert "lost" not in finding.detail


def test_damage_before_the_cut_is_named_too(out):
    flip(out / SHARD, 700)
    os.truncate(out / SHARD, 20_000)
    assert codes(verify(out)) == [108, 201]


def test_data_after_a_shard_is_found(out):
    with (out / SHARD).open("ab") as file:
        file.write(b"more")
    assert codes(verify(out, "entries")) == [108]
    assert codes(verify(out)) == [108, 202]


@pytest.mark.parametrize("other", ["train-000002.tar", "train-000003.tar"])
def test_swapped_shards_are_not_reported_as_damage(out, other):
    (out / SHARD).rename(out / "x")
    (out / other).rename(out / SHARD)
    (out / "x").rename(out / other)
    report = verify(out)
    swapped = [f for f in report.findings if f.code.code == "W203"]
    assert {(f.shard, f.detail) for f in swapped} == {
        (SHARD, f"the bytes of {other}"),
        (other, f"the bytes of {SHARD}"),
    }
    assert set(codes(report)) <= {203, 108}


def test_a_missing_shard_is_found_at_every_depth(out):
    (out / SHARD).unlink()
    for depth in DEPTHS:
        (finding,) = verify(out, depth).findings
        assert (finding.code.code, finding.shard) == ("W106", SHARD)
        assert finding.remedy == f"wdsremux repair OUT --shard {SHARD}"


def test_an_extra_shard_is_found(out):
    shutil.copy(out / SHARD, out / "train-000009.tar")
    report = verify(out)
    assert codes(report) == [107]
    assert report.findings[0].shard == "train-000009.tar"


def test_an_unfinished_output_says_how_to_resume(out):
    (out / "index.json").unlink()
    (finding,) = verify(out, "pixels").findings
    assert finding.code.code == "W102"
    assert finding.detail == "5 finished shards so far"
    assert finding.remedy == "run the same convert command again"


def test_an_output_killed_before_its_first_shard_is_reported(out):
    (out / "index.json").unlink()
    for path in [*out.glob("*.tar"), *(out / ".wdsremux").glob("train-*.msgpack")]:
        path.unlink()
    (finding,) = verify(out).findings
    assert (finding.code.code, finding.detail) == ("W102", "0 finished shards so far")


def test_an_unfinished_output_is_checked_by_its_entries(out):
    (out / "index.json").unlink()
    entry_path(out, "train-000004.tar").unlink()  # killed between a shard and its entry
    (out / "train-000004.tar").write_bytes(b"half")
    flip(out / SHARD, 600)
    assert codes(verify(out)) == [102, 201]


def test_images_of_another_size_than_their_json_are_found(out, monkeypatch):
    monkeypatch.setattr(
        "wdsremux.verifying.checks.member_contents.ImageCheck.size_of",
        lambda _self, _data: (24, 21),
    )
    report = verify(out, "pixels")
    assert set(codes(report)) == {402}
    assert report.findings[0].detail == "24 x 21, but 24 x 20 in the JSON"
    assert verify(out, "samples").findings == ()


def test_links_instead_of_files_are_never_followed(out, tmp_path):
    real = tmp_path / "real.tar"
    (out / SHARD).rename(real)
    (out / SHARD).symlink_to(real)
    assert codes(verify(out, "pixels")) == [109]
    state = tmp_path / "state"
    (out / ".wdsremux").rename(state)
    (out / ".wdsremux").symlink_to(state)
    assert 109 in codes(verify(out, "pixels"))


def test_a_folder_or_pipe_instead_of_a_shard_is_found(out):
    (out / SHARD).unlink()
    (out / SHARD).mkdir()
    assert codes(verify(out)) == [109]
    (out / SHARD).rmdir()
    os.mkfifo(out / SHARD)
    assert codes(verify(out)) == [109]


def test_a_read_error_of_the_disk_names_the_sample(out, monkeypatch):
    broken = list(entry_of(out).samples())[5]

    real = BlockReader._next

    def fails(self, most_bytes):
        if self.offset > broken.offset:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, min(most_bytes, 512))

    monkeypatch.setattr(BlockReader, "_next", fails)
    report = verify(out)
    assert set(codes(report)) == {110}
    finding = next(f for f in report.findings if f.shard == SHARD)
    assert (finding.code.code, finding.key) == ("W110", broken.key)
    assert "Input/output error" in finding.detail


def test_subsets_are_the_same_on_every_call_and_cover_all(out):
    flip(out / SHARD, 600)
    parts = [verify(out, subset=f"{part}/3") for part in (1, 2, 3)]
    assert [report.checked_shards for report in parts] == [2, 2, 1]
    assert [report.exit_code for report in parts] == [0, 1, 0]
    assert verify(out, subset="50%").checked_shards == 3
    assert verify(out, subset="1%").checked_shards == 1


@pytest.mark.parametrize("subset", ["0/3", "4/3", "x", "1/0", "0%", "101%", "", "-1/2", "1/3/4"])
def test_an_invalid_subset_is_refused(made, subset):
    with pytest.raises(UsageError, match="subset"):
        verify(made, subset=subset)


def test_invalid_options_are_refused(made):
    with pytest.raises(UsageError, match="workers"):
        verify(made, workers=0)
    with pytest.raises(UsageError, match="depth"):
        verify(made, "deep")


def test_the_report_does_not_depend_on_the_workers(out):
    for path in out.glob("*.tar"):
        flip(path, 600)
        flip(path, 9000)
    (out / "README.md").unlink()
    one, four = verify(out, "pixels", workers=1), verify(out, "pixels", workers=4)
    assert one.findings == four.findings
    assert len(one.findings) > 4


def test_counts_are_exact_beyond_the_findings_that_are_kept(out, monkeypatch):
    for path in out.glob("*.tar"):
        flip(path, 600)
        flip(path, 9000)
    (out / "README.md").unlink()
    whole = verify(out)
    monkeypatch.setattr(verifying, "MAX_FINDINGS", 3)
    monkeypatch.setattr(reports, "MAX_ERRORS", 1)
    for workers in (1, 4):
        report = verify(out, workers=workers)
        assert report.counts == whole.counts
        reported = [(finding.code, finding.shard) for finding in report.findings]
        assert reported == [
            (Code.CARD_MISSING, "README.md"),
            (Code.SAMPLE_DAMAGED, "train-000000.tar"),
            (Code.SAMPLE_DAMAGED, "train-000000.tar"),
        ]
        assert report.findings[-1].detail == "and 1 more like it"
    assert sum(whole.counts.values()) == len(whole.findings) == 11


def test_progress_counts_every_byte(made):
    events = []
    report = verify(made, observer=events.append)
    assert events[0] == CheckBegun(5, report.size_bytes, cpus.usable_cpus())
    advanced = [event for event in events if isinstance(event, CheckAdvanced)]
    assert sum(event.size_bytes for event in advanced) == report.size_bytes
    assert sum(event.shards for event in advanced) == 5


def test_an_observer_that_raises_stops_the_run(made):
    class StopHereError(Exception):
        pass

    def stop(event):
        if isinstance(event, CheckAdvanced):
            raise StopHereError

    with pytest.raises(StopHereError):
        verify(made, observer=stop)


def test_a_folder_without_a_dataset_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "index.json").write_text("{}")
    for place in (tmp_path, tmp_path / "missing", tmp_path / "notes.txt"):
        with pytest.raises(CorruptDataError):
            verify(place)


def test_the_report_becomes_json(out):
    flip(out / SHARD, 600)
    raw = json.loads(json.dumps(verify(out).to_json()))
    assert raw["counts"] == {"W201": 1}
    assert raw["findings"][0]["shard"] == SHARD
    assert raw["depth"] == "bytes"


def test_a_moved_shard_is_not_a_missing_shard(tmp_path):
    out = make_dataset(tmp_path / "out", rows=20, broken=())
    wdsremux.sync(out, tmp_path / "nas", move=True)
    with (out / ".wdsremux" / "moved.jsonl").open("ab") as file:
        file.write(b'\n{"name": "cut o')
    found = verify(out, "bytes").findings
    assert {finding.code for finding in found} == {Code.SHARD_MOVED}
    assert {str(tmp_path / "nas") in finding.detail for finding in found} == {True}
    assert verify(tmp_path / "nas").exit_code == 0


def test_an_unfinished_copy_of_a_sync_is_not_clean(tmp_path, monkeypatch):
    out, put = make_dataset(tmp_path / "out", rows=20, broken=()), FolderStore.put

    def put_shards_only(self, name, *arguments):
        if name.endswith(".msgpack"):
            raise StoreError("the disk is full")
        return put(self, name, *arguments)

    monkeypatch.setattr(FolderStore, "put", put_shards_only)
    with pytest.raises(StoreError):
        wdsremux.sync(out, tmp_path / "nas")
    assert len(list((tmp_path / "nas").glob("*.tar"))) == len(list(out.glob("*.tar")))
    assert Code.UNFINISHED in {finding.code for finding in verify(tmp_path / "nas").findings}
