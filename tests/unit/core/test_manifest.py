"""The manifest: what is written is read again, sums and patterns are right, wids finds its fields."""

import dataclasses
import json

import pytest
from braceexpand import braceexpand
from hypothesis import given
from hypothesis import strategies as st
from support.summaries import manifest_of, summary_of

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.manifest import Manifest, Totals, indented_json, totals_by_split

# A class may be named after a folder of invalid Unicode: Python has surrogates for that.
names = st.text(
    st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    max_size=20,
)
shards_drawn = st.integers(1, 5).map(
    lambda count: [summary_of(i, i * 10, i * 10 + 10, is_last=i == count - 1) for i in range(count)]
)


def two_copies_of_two_splits():
    return [
        summary_of(number, start, stop, split=split, copy=copy, prefix=f"{split}-c{copy}", **more)
        for split, parts in {
            "train": [(0, 0, 6, {}), (1, 6, 10, {"rejected": 1})],
            "test": [(0, 10, 13, {})],
        }.items()
        for copy in range(2)
        for number, start, stop, more in parts
    ]


@given(names, st.lists(names, max_size=4), st.lists(names, max_size=2), shards_drawn)
def test_a_manifest_is_read_as_it_was_written(name, classes, notes, shards):
    manifest = manifest_of(
        shards,
        name=name,
        class_names=tuple(classes),
        series=("train", "test"),
        origin={"source": name},
        notes=tuple(notes),
    )
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_a_manifest_without_classes_is_read_as_it_was_written():
    manifest = manifest_of(class_names=None, notes=())
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_a_manifest_of_the_same_content_is_the_same_file():
    assert manifest_of().to_bytes() == manifest_of().to_bytes()


@given(st.dictionaries(names, names))
def test_indented_json_reads_back_unchanged(value):
    assert json.loads(indented_json(value)) == value


def test_indented_json_keeps_letters_of_all_scripts():
    assert indented_json({"a": "grün"}) == '{\n "a": "grün"\n}\n'.encode()


def test_wids_finds_its_fields():
    raw = json.loads(manifest_of([summary_of(0, 0, 7, size_bytes=20_480)]).to_bytes())
    assert raw["wids_version"] == 1
    assert raw["__kind__"] == "wids-shard-index-v1"
    [shard] = raw["shardlist"]
    assert (shard["url"], shard["nsamples"], shard["filesize"]) == ("train-000000.tar", 7, 20_480)
    # wids would take such a field for a checksum or for further datasets.
    assert not {"md5sum", "weight", "source_url"} & shard.keys()
    assert not {"datasets", "base"} & raw.keys()


def test_the_own_fields_are_added():
    raw = json.loads(manifest_of().to_bytes())
    assert raw["recipe"] == {"seed": 42, "steps": ["resize=256"]}
    assert raw["fingerprint"] == "a" * 64
    assert raw["class_names"] == ["cat", "dog"]
    assert raw["totals"] == {"rows": 10, "samples": 10, "rejected": 0, "bytes": 10_240, "shards": 1}
    assert raw["patterns"] == {"train": ["train-000000.tar"]}
    assert raw["shardlist"][0]["sha256"] == "0" * 64


def test_every_copy_of_a_split_covers_the_same_rows():
    splits = totals_by_split(two_copies_of_two_splits())
    assert list(splits) == ["train", "test"]
    assert splits["train"] == Totals(10, 18, 2, 40_960, 4)
    assert splits["test"] == Totals(3, 6, 0, 20_480, 2)


def test_totals_are_the_sums_over_the_splits():
    manifest = manifest_of(two_copies_of_two_splits(), copies=2)
    assert manifest.totals == Totals(13, 24, 2, 61_440, 6)
    assert manifest.totals.samples + manifest.totals.rejected == manifest.totals.rows * 2


def test_filtered_rows_are_in_the_totals_and_raise_the_version_only_where_there_are_any():
    shards = [summary_of(0, 0, 10, rejected=1, filtered=3), summary_of(1, 10, 20, filtered=2)]
    manifest = manifest_of(dataclasses.replace(shard, entry_sha256="e" * 64) for shard in shards)
    raw = json.loads(manifest.to_bytes())
    assert raw["index_version"] == 4
    assert (raw["totals"]["samples"], raw["totals"]["rejected"]) == (14, 1)
    assert raw["totals"]["filtered"] == raw["splits"]["train"]["filtered"] == 5
    assert Manifest.from_bytes(manifest.to_bytes()).totals == manifest.totals
    plain = json.loads(manifest_of([summary_of(entry_sha256="e" * 64)]).to_bytes())
    assert plain["index_version"] == 2
    assert "filtered" not in plain["totals"]


def test_rows_are_counted_from_where_the_series_begins():
    shards = [summary_of(0, 1000, 1010), summary_of(1, 1010, 1015, rejected=2)]
    assert totals_by_split(shards)["train"].rows == 15


def test_without_shards_there_are_no_totals():
    assert totals_by_split([]) == {}
    assert manifest_of([]).totals == Totals(0, 0, 0, 0, 0)
    assert manifest_of([]).patterns() == {}


def test_patterns_name_every_shard_of_a_split_series_by_series():
    patterns = manifest_of(two_copies_of_two_splits(), copies=2).patterns()
    assert patterns == {
        "train": ["train-c0-{000000..000001}.tar", "train-c1-{000000..000001}.tar"],
        "test": ["test-c0-000000.tar", "test-c1-000000.tar"],
    }


@given(st.integers(1, 30), st.sampled_from(["train", "train_validation", "a-b.c"]))
def test_a_pattern_expands_to_the_names_of_the_shards(count, split):
    shards = [summary_of(i, split=split) for i in range(count)]
    [pattern] = manifest_of(shards).patterns()[split]
    assert list(braceexpand(pattern)) == [shard.name for shard in shards]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"wids_version": 1, "shardlist": []}',
        b'{"format": 1}',
        manifest_of().to_bytes()[:-20],
    ],
)
def test_a_manifest_of_another_tool_is_refused(data):
    with pytest.raises(
        CorruptDataError, match=r"cannot read manifest 'index\.json': it is damaged, or was not"
    ):
        Manifest.from_bytes(data)


@pytest.mark.parametrize("field", ["shardlist", "recipe", "fingerprint", "class_names"])
def test_a_manifest_with_a_field_missing_is_refused(field):
    raw = json.loads(manifest_of().to_bytes())
    del raw[field]
    with pytest.raises(CorruptDataError, match=field):
        Manifest.from_bytes(json.dumps(raw).encode(), "index.json")


def test_a_manifest_of_another_format_asks_for_another_version():
    raw = json.loads(manifest_of().to_bytes()) | {"format": 2}
    with pytest.raises(CorruptDataError, match="format 2: use the version of wdsremux"):
        Manifest.from_bytes(json.dumps(raw).encode())


def test_a_manifest_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest_of().head = None


PUBLISHED = {
    "at": "s3://bucket/pets",
    "loaders": {"aws": {"train": ["pipe:aws s3 cp s3://bucket/pets/train-000000.tar -"]}},
    "receipts": {"train-000000.tar": {"crc64nvme": "AAAAAAAAAAA="}},
}


def test_published_locations_are_read_back_and_affect_nothing():
    manifest = manifest_of(published=PUBLISHED)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.head == manifest_of().head
    assert dataclasses.replace(manifest, published={}).to_bytes() == manifest_of().to_bytes()


def test_an_unpublished_manifest_has_no_location():
    assert "published" not in json.loads(manifest_of().to_bytes())


@pytest.mark.parametrize("published", [[], "s3://bucket", 1, None])
def test_a_malformed_location_is_refused(published):
    raw = manifest_of().to_json() | {"published": published}
    with pytest.raises(CorruptDataError, match="published"):
        Manifest.from_bytes(json.dumps(raw).encode())
