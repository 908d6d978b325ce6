"""Keys that are row numbers prove themselves unique; all others do not."""

from dataclasses import replace

import pytest
from support.summaries import entry_of, summary_of
from support.verified import make_dataset

from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.verifying.checks.row_keys import RowKeys
from wdsremux.verifying.verify import verify


def is_proven(*entries, copies=1):
    keys = RowKeys(copies)
    for entry in entries:
        keys.add(entry)
    return keys.are_unique()


FIRST, SECOND = entry_of(summary_of(0, 0, 10)), entry_of(summary_of(1, 10, 20))


def test_rows_of_shards_that_do_not_overlap_are_unique_in_any_order():
    assert is_proven(FIRST, SECOND)
    assert is_proven(SECOND, FIRST)


@pytest.mark.parametrize(
    "other",
    [
        FIRST,
        entry_of(summary_of(1, 9, 20)),
        entry_of(summary_of(1, 5, 7)),
        entry_of(summary_of(1, 0, 30)),
    ],
    ids=["the same", "one row", "within", "around"],
)
def test_shards_that_share_rows_prove_nothing(other):
    assert not is_proven(FIRST, other)
    assert not is_proven(other, FIRST)


def test_another_key_proves_nothing():
    keys = [*SECOND.keys[:-1], "000000003"]
    assert not is_proven(FIRST, replace(SECOND, keys=keys))


def test_the_copies_of_a_row_differ_in_their_suffix():
    copies = [
        replace(entry, keys=[f"{key}-c{copy}" for key in entry.keys])
        for copy in range(2)
        for entry in (entry_of(summary_of(0, 0, 10, copy=copy)),)
    ]
    assert is_proven(*copies, copies=2)
    assert not is_proven(copies[0], copies[0], copies=2)
    assert not is_proven(*copies, copies=1)


def test_verify_registers_no_key_of_a_sound_dataset(tmp_path, monkeypatch):
    out = make_dataset(tmp_path / "out", rows=20, copies=2, steps=["hflip"])
    monkeypatch.setattr(KeyRegister, "duplicates", lambda *_: pytest.fail("it was asked"))
    assert verify(out, "pixels").findings == ()
