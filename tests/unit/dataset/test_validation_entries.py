"""Entries are validated before they are used: each invalid field is reported."""

from array import array
from dataclasses import fields, replace

import pytest
from support.verified import SHARD, entry_path, make_dataset

from wdsremux.core.manifest import Manifest
from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.validation import entry_problem, manifest_problem, summary_problem


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", broken=(11,))


@pytest.fixture
def entry(made):
    return ShardEntry.from_bytes(entry_path(made).read_bytes(), SHARD)


def changed(numbers, place, value):
    """Return a copy of an array with one number replaced."""
    copy = array("Q", numbers)
    copy[place] = value
    return copy


def test_a_real_entry_and_manifest_are_valid(made, entry):
    assert entry_problem(entry, is_ours=True) is None
    assert manifest_problem(Manifest.from_bytes((made / "index.json").read_bytes())) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda e: {"keys": e.keys[:-1]},
        lambda e: {"crcs": e.crcs[:-1]},
        lambda e: {"keys": [5, *e.keys[1:]]},
        lambda e: {"keys": ["x" * 120, *e.keys[1:]]},
        lambda e: {"keys": ["ä", *e.keys[1:]]},
        lambda e: {"keys": ["", *e.keys[1:]]},
        lambda _e: {"fingerprint": None},
        lambda e: {"sizes": changed(e.sizes, 1, e.sizes[1] + 1)},
        lambda e: {"sizes": changed(e.sizes, 1, e.sizes[1] + 512)},
        lambda e: {"sizes": changed(e.sizes, 1, 0)},
        lambda e: {"sizes": changed(e.sizes, 1, 2**64 - 512)},
        lambda e: {"members": changed(e.members, 0, 2**40)},
        lambda e: {"members": changed(e.members, 0, 2**64 - 1)},
        lambda e: {"crcs": changed(e.crcs, 0, 2**32)},
        lambda e: {"positions": changed(e.positions, 1, e.positions[0])},
        lambda e: {"rejected": (replace(e.rejected[0], position=10**9),)},
        lambda e: {"rejected": (replace(e.rejected[0], position="x"),)},
    ],
)
def test_an_invalid_entry_is_reported(entry, change):
    assert entry.rejected
    assert entry_problem(replace(entry, **change(entry)), is_ours=True) is not None


def test_every_field_of_a_summary_is_checked_for_its_type(entry):
    shard = entry.summary
    for field in fields(shard):
        for value in (None, -1, "x", 1.5, [], 2**70):
            if isinstance(value, str) and field.name in ("name", "split"):
                continue
            assert summary_problem(replace(shard, **{field.name: value})) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"size_bytes": 10240},
        {"start": 10**6},
        {"stop": 0},
        {"first_position": 10**6},
        {"sha256": "A"},
    ],
)
def test_a_contradictory_summary_is_reported(entry, change):
    broken = replace(entry, summary=replace(entry.summary, **change))
    assert entry_problem(broken, is_ours=True) is not None


def test_shards_of_other_tools_may_have_any_layout(entry):
    odd = replace(entry, extensions=(), members=array("Q"), keys=[f"ä {k}" for k in entry.keys])
    larger = replace(odd, summary=replace(odd.summary, size_bytes=10**6))
    assert entry_problem(larger, is_ours=False) is None
    smaller = replace(odd, summary=replace(odd.summary, size_bytes=512))
    assert entry_problem(smaller, is_ours=False) is not None
