"""What was rejected, from two witnesses: entries and rejected.jsonl."""

from dataclasses import replace

import pytest
from support.summaries import entry_of, summary_of

from wdsremux.core.records import Rejected
from wdsremux.dataset.rejected import rejected_line
from wdsremux.processing.recovery import KILLED_BY_RECORD
from wdsremux.repairing.rejections import Rejections
from wdsremux.repairing.shard_records import Series, ShardRecord
from wdsremux.stores.reading.untrusted import UntrustedFolder

SERIES = Series(0, "train", 0, "train")
ITEMS = [Rejected(position, 0, "decode", f"row {position}: \udcff ☃") for position in (3, 7, 14)]
FIRST = summary_of(0, 0, 10, rejected=2, last_position=9)
SECOND = summary_of(1, 10, 20, rejected=1, is_last=True)
ENTRIES = {
    FIRST.name: entry_of(FIRST, ITEMS[:2]),
    SECOND.name: entry_of(SECOND, ITEMS[2:]),
}


def rejections(tmp_path, items, *, lost=(), line_of=rejected_line):
    """Return what is known from the lines of some items, with the entries of some shards lost."""
    (tmp_path / ".wdsremux").mkdir()
    lines = b"".join(map(line_of, items))
    (tmp_path / ".wdsremux/rejected.jsonl").write_bytes(lines)
    records = [ShardRecord(SERIES, (s,), has_entry=s.name not in lost) for s in (FIRST, SECOND)]
    with UntrustedFolder(tmp_path) as folder:
        return Rejections(folder, records)


def test_equal_records_of_rejections_are_used(tmp_path):
    known = rejections(tmp_path, ITEMS)
    assert known.of(FIRST, ENTRIES[FIRST.name]) == tuple(ITEMS[:2])
    assert known.of(SECOND, ENTRIES[SECOND.name]) == tuple(ITEMS[2:])


def test_lines_replace_a_lost_entry(tmp_path):
    known = rejections(tmp_path, ITEMS, lost=[FIRST.name])
    assert known.of(FIRST, None) == tuple(ITEMS[:2])


@pytest.mark.parametrize("items", [[], ITEMS[:1], [*ITEMS, ITEMS[0]]])
def test_entries_replace_lost_or_duplicated_lines(tmp_path, items):
    known = rejections(tmp_path, items)
    assert known.of(FIRST, ENTRIES[FIRST.name]) == tuple(ITEMS[:2])


def test_contradicting_lines_and_entries_are_unknown(tmp_path):
    known = rejections(tmp_path, [replace(ITEMS[0], reason="another"), *ITEMS[1:]])
    assert known.of(FIRST, ENTRIES[FIRST.name]) is None
    assert known.of(SECOND, ENTRIES[SECOND.name]) == tuple(ITEMS[2:])


def test_lost_rejections_are_unknown_unless_there_were_none(tmp_path):
    known = rejections(tmp_path, [], lost=[FIRST.name, SECOND.name])
    assert known.of(FIRST, None) is None
    nothing = replace(FIRST, rejected=0)
    assert known.of(nothing, None) == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b'"row', b'"rox') + b"{}",
        lambda line: line.replace(b'"copy":0', b'"copy":"0"'),
        lambda line: line.replace(b'"stage"', b'"Stage"'),
        lambda line: line.replace(b'"reason"', b' "reason"'),
        lambda line: line[:-2] + b"\n",
        lambda _line: b"[]\n",
        lambda _line: b"\xff\n",
    ],
)
def test_damaged_lines_are_ignored(tmp_path, damage):
    known = rejections(
        tmp_path, ITEMS, lost=[SECOND.name], line_of=lambda item: damage(rejected_line(item))
    )
    assert known.of(SECOND, None) is None
    assert known.of(FIRST, ENTRIES[FIRST.name]) == tuple(ITEMS[:2])


def test_lines_of_unknown_copies_and_rows_are_ignored(tmp_path):
    strangers = [replace(ITEMS[0], copy=1), replace(ITEMS[0], position=99)]
    known = rejections(tmp_path, [*ITEMS, *strangers], lost=[FIRST.name, SECOND.name])
    assert known.of(FIRST, None) == tuple(ITEMS[:2])
    assert known.of(SECOND, None) == tuple(ITEMS[2:])


def test_a_missing_file_records_nothing(tmp_path):
    with UntrustedFolder(tmp_path) as folder:
        known = Rejections(folder, [ShardRecord(SERIES, (FIRST,), has_entry=True)])
    assert known.of(FIRST, ENTRIES[FIRST.name]) == tuple(ITEMS[:2])
    assert known.of(FIRST, None) is None


def test_records_that_killed_a_worker_are_remembered(tmp_path):
    reason = f"{KILLED_BY_RECORD}killed by SIGSEGV"
    deadly = Rejected(3, 0, "transform", reason)
    known = rejections(tmp_path, [deadly, *ITEMS[1:]])
    assert known.poison == {3: reason}
