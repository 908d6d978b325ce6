"""Entries: what is written is read back, and damage is detected."""

import dataclasses

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import rejected
from support.summaries import entry_of, summary_of

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.records import Rejected
from wdsremux.dataset.entry import ShardEntry, entry_name

rejected_rows = st.builds(
    Rejected,
    position=st.integers(0, 2**63),
    copy=st.integers(0, 999),
    stage=st.sampled_from(["read", "decode", "transform", "encode", "pack", "filter"]),
    # A file name of invalid Unicode, or a string of the user, may contain lone surrogates.
    reason=st.text(st.characters(codec=None)),
    key=st.none() | st.text(),
)


def changed(entry, **changes):
    """Return the bytes of an entry file with some of its fields changed, or left out by None."""
    raw = msgpack.unpackb(entry.to_bytes()) | changes
    return msgpack.packb({name: value for name, value in raw.items() if value is not None})


def test_an_entry_is_in_the_state_folder_named_after_its_shard():
    assert entry_name("train-c1-000012.tar") == ".wdsremux/train-c1-000012.msgpack"


@given(
    st.integers(1, 50), st.integers(0, 2**40), st.lists(rejected_rows, max_size=4), st.booleans()
)
def test_an_entry_is_read_as_it_was_written(samples, start, rejected, is_last):
    summary = summary_of(
        3, start, start + samples, samples=samples, rejected=len(rejected), is_last=is_last
    )
    entry = entry_of(summary, rejected)
    assert ShardEntry.from_bytes(entry.to_bytes(), "e") == entry


def test_filtered_rows_are_counted_apart_from_errors():
    items = [rejected(1), rejected(2, stage="filter"), rejected(3, stage="filter")]
    entry = entry_of(summary_of(0, 0, 10, rejected=1, filtered=2, last_position=6), items)
    assert ShardEntry.from_bytes(entry.to_bytes(), "e") == entry


def test_an_entry_from_before_they_were_counted_apart_counts_all_as_rejected():
    items = [rejected(1), rejected(2, stage="filter")]
    data = changed(entry_of(summary_of(0, 0, 10, rejected=1, filtered=1), items), format=1)
    data = msgpack.packb({k: v for k, v in msgpack.unpackb(data).items() if k != "filtered"})
    old = ShardEntry.from_bytes(data, "e")
    assert (old.summary.rejected, old.summary.filtered) == (2, 0)
    assert old.to_bytes() == data


def test_an_entry_of_the_same_content_is_the_same_file():
    assert entry_of(summary_of()).to_bytes() == entry_of(summary_of()).to_bytes()


def test_samples_record_where_their_members_begin():
    first, second = entry_of(summary_of(0, 7, 9)).samples()
    assert (first.key, first.position, first.offset, first.size_bytes) == ("000000007", 7, 0, 2048)
    assert first.members == (("jpg", 512, 100), ("json", 1536, 20))
    assert (second.offset, second.crc32) == (2048, 1)
    assert second.members == (("jpg", 2560, 100), ("json", 3584, 20))


def test_an_entry_of_another_format_asks_for_a_newer_version():
    data = changed(entry_of(summary_of()), format=99)
    with pytest.raises(CorruptDataError, match=r"cannot read entry 'e': format 99 needs a newer"):
        ShardEntry.from_bytes(data, "e")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not msgpack at all",
        msgpack.packb([1, 2, 3]),
        msgpack.packb(None),
        msgpack.packb({"format": 1}),
        entry_of(summary_of()).to_bytes()[:-1],
        entry_of(summary_of()).to_bytes() + b"\0",
    ],
)
def test_a_file_that_is_not_an_entry_is_damaged(data):
    with pytest.raises(CorruptDataError, match="cannot read entry 'e': it is damaged"):
        ShardEntry.from_bytes(data, "e")


@pytest.mark.parametrize(
    "changes",
    [
        {"keys": ["a"]},
        {"positions": b"\0" * 8},
        {"sizes": b"\0" * 8},
        {"crcs": b"\0" * 8},
        {"members": b"\0" * 8},
        {"members": b"\0" * 7},
        {"keys": [], "positions": b"", "sizes": b"", "crcs": b"", "members": b""},
        {"rejected": [[1, 2]]},
        {"sha256": None},
    ],
    ids=" ".join,
)
def test_lists_that_do_not_fit_each_other_are_damage(changes):
    with pytest.raises(CorruptDataError, match="damaged"):
        ShardEntry.from_bytes(changed(entry_of(summary_of()), **changes), "e")


@given(st.data())
def test_a_changed_byte_never_ends_in_another_error(data):
    raw = bytearray(entry_of(summary_of(rejected=1), [Rejected(9, 0, "read", "gone")]).to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        entry = ShardEntry.from_bytes(bytes(raw), "e")
    except CorruptDataError:
        return
    assert len(list(entry.samples())) == entry.summary.samples


def test_a_damaged_entry_comes_with_its_remedy():
    with pytest.raises(CorruptDataError, match="remove that file, and wdsremux rebuilds its shard"):
        ShardEntry.from_bytes(b"\xc1", "e")


def test_an_entry_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry_of(summary_of()).fingerprint = "other"
