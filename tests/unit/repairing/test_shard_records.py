"""What is recorded of shards: two witnesses, neither of which is believed blindly."""

from dataclasses import replace

import pytest
from support.summaries import entry_of, head_of, manifest_of, summary_of

from wdsremux.core.records import Rejected
from wdsremux.dataset.entry import entry_name
from wdsremux.processing.recovery import KILLED_BY_RECORD
from wdsremux.repairing.shard_records import Gap, Series, ShardRecords, series_of
from wdsremux.stores.reading.untrusted import UntrustedFolder

PRINT = "f" * 64
SHARDS = [
    summary_of(number, 10 * number, 10 * number + 10, is_last=number == 3, size_bytes=30720)
    for number in range(4)
]
MANIFEST = manifest_of(SHARDS, series=("train",), fingerprint=PRINT)


def records(tmp_path, entries, manifest=MANIFEST, head=None):
    for entry in entries:
        path = tmp_path / entry_name(entry.summary.name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(entry.to_bytes())
    folder = UntrustedFolder(tmp_path)
    with folder:
        return ShardRecords(folder, head or MANIFEST.head, manifest)


def entries_of(shards):
    return [entry_of(shard) for shard in shards]


def test_series_are_recognised_by_their_prefixes():
    head = head_of(copies=2, series=("a-c0", "a-c1", "b-c1-c0", "b-c1-c1"))
    assert series_of(head) == [
        Series(0, "a", 0, "a-c0"),
        Series(0, "a", 1, "a-c1"),
        Series(1, "b-c1", 0, "b-c1-c0"),
        Series(1, "b-c1", 1, "b-c1-c1"),
    ]


@pytest.mark.parametrize("has_manifest", [True, False])
@pytest.mark.parametrize("has_entries", [True, False])
def test_each_record_alone_is_enough(tmp_path, has_manifest, has_entries):
    manifest = MANIFEST if has_manifest else None
    found = records(tmp_path, entries_of(SHARDS) if has_entries else [], manifest)
    known = has_manifest or has_entries
    assert [r.summaries for r in found] == [(shard,) for shard in SHARDS if known]
    assert all(record.has_entry == has_entries for record in found)
    assert found.is_finished == known
    assert list(found.gaps()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": 12},
        {"stop": 21},
        {"samples": 9},
        {"rejected": 1},
        {"first_position": 11},
        {"number": 3},
        {"copy": 1},
        {"split": "val"},
        {"is_last": True},
    ],
)
def test_impossible_records_of_a_shard_are_ignored(tmp_path, wrong):
    shards = [SHARDS[0], replace(SHARDS[1], **wrong), *SHARDS[2:]]
    found = records(tmp_path, entries_of(SHARDS), manifest_of(shards))
    assert [record.summaries for record in found] == [(shard,) for shard in SHARDS]


def test_two_possible_records_are_both_kept(tmp_path):
    other = replace(SHARDS[1], sha256="0" * 64)
    found = records(tmp_path, entries_of([SHARDS[0], other]))
    assert [record.summaries for record in found][:2] == [(SHARDS[0],), (SHARDS[1], other)]
    assert next(r for r in found if len(r.summaries) == 2).sums == {SHARDS[1].sha256, "0" * 64}


def test_names_never_lead_elsewhere(tmp_path):
    wrong = replace(SHARDS[1], name="../train-000001.tar")
    found = records(tmp_path, [], manifest_of([SHARDS[0], wrong, *SHARDS[2:]]))
    assert [record.name for record in found] == [SHARDS[i].name for i in (0, 2, 3)]


def test_entries_of_another_conversion_are_ignored(tmp_path):
    strange = [entry_of(shard, fingerprint="e" * 64) for shard in SHARDS]
    assert list(records(tmp_path, strange, None)) == []


def test_runs_without_a_record_are_gaps(tmp_path):
    found = records(tmp_path, entries_of([SHARDS[1], SHARDS[3]]), None)
    series = found.series[0]
    assert list(found.gaps()) == [Gap(series, 0, 1, None, 10), Gap(series, 2, 1, 20, 30)]
    assert found.first_row(0) is None


def test_without_its_end_a_dataset_is_not_finished(tmp_path):
    found = records(tmp_path, entries_of(SHARDS[:3]), None)
    assert list(found.gaps()) == []
    assert not found.is_finished


def test_a_split_begins_where_the_one_before_ends(tmp_path):
    second = replace(SHARDS[1], name="val-000000.tar", split="val", number=0, is_last=True)
    first = replace(SHARDS[0], is_last=True)
    head = manifest_of((), series=("train", "val"), fingerprint=PRINT).head
    found = records(tmp_path, entries_of([first, second]), None, head)
    assert (found.first_row(0), found.first_row(1)) == (0, 10)
    (tmp_path / ".wdsremux/val-000000.msgpack").unlink()
    with UntrustedFolder(tmp_path) as folder:
        assert ShardRecords(folder, head, None).first_row(1) == 10


def test_records_that_killed_a_worker_are_remembered(tmp_path):
    reason = f"{KILLED_BY_RECORD}killed by SIGSEGV"
    shard = replace(SHARDS[0], samples=8, rejected=2, last_position=7, size_bytes=20480)
    items = [Rejected(3, 0, "transform", reason), Rejected(4, 0, "transform", "an error")]
    assert records(tmp_path, [entry_of(shard, items)]).poison == {3: reason}
