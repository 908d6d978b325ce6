"""Damaged copies of a real output: faults of its index, entries, recipe, rejected records and card."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from support.verified import (
    SHARD,
    codes,
    copied,
    edit_json,
    entry_of,
    entry_path,
    flip,
    make_dataset,
    replace_entry,
)

import wdsremux
from wdsremux.verifying.verify import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def out(made, tmp_path):
    return copied(made, tmp_path / "out")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"format": 9}'])
def test_a_damaged_manifest_is_reported_and_the_entries_are_used(out, data):
    (out / "index.json").write_bytes(data)
    flip(out / SHARD, 600)
    assert codes(verify(out)) == [101, 201]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m["totals"].update(samples=1), {103}),
        (lambda m: m["splits"]["train"].update(samples=99), {103}),
        (lambda m: m.update(patterns={}), {103}),
        (lambda m: m["shardlist"][1].update(sha256="0" * 64), {114, 204}),
        (lambda m: m["shardlist"][1].update(nsamples=3), {103, 104, 114}),
        (lambda m: m["shardlist"].pop(1), {103, 104, 105, 113}),
        (lambda m: m["shardlist"].pop(), {103, 105, 113}),
        (lambda m: m["shardlist"].append(m["shardlist"][1]), {103, 104}),
        (lambda m: m.update(fingerprint="f" * 64), {115}),
        (lambda m: m["recipe"].update(seed=7), {115}),
        (lambda m: m["features"]["json"]["struct"].update(caption="int64"), {115, 121}),
        (lambda m: m["shardlist"][1].update(nsamples="3"), {101}),
        (lambda m: m["shardlist"][1].update(sha256="no"), {101}),
        (lambda m: m["shardlist"][1].update(filesize=True), {101}),
        (lambda m: m["shardlist"][1].update(start=-1), {101}),
        (lambda m: m.update(splits=[]), {103}),
        (lambda m: m.update(copies=None), {101}),
    ],
)
def test_a_stale_manifest_is_found(out, change, expected):
    edit_json(out / "index.json", change)
    assert set(codes(verify(out))) - {121} == expected - {121}


def test_a_checksum_that_is_wrong_everywhere_is_not_damage(out):
    wrong = "0" * 64
    edit_json(out / "index.json", lambda m: m["shardlist"][1].update(sha256=wrong))
    entry = entry_of(out)
    replace_entry(out, replace(entry, summary=replace(entry.summary, sha256=wrong)))
    (finding,) = verify(out).findings
    assert (finding.code.code, finding.shard) == ("W204", SHARD)


@pytest.mark.parametrize("name", ["../secret.tar", "/etc/hostname.tar", "sub/x.tar", "..", ""])
def test_a_name_that_leads_out_is_not_opened(out, name):
    (out.parent / "secret.tar").write_bytes(b"secret")
    edit_json(out / "index.json", lambda m: m["shardlist"][1].update(url=name))
    assert 122 in codes(verify(out, "pixels"))


def test_a_missing_entry_is_found_and_its_shard_still_checked(out):
    entry_path(out).unlink()
    assert 111 in codes(verify(out, "samples"))
    flip(out / SHARD, 600)
    found = codes(verify(out))
    assert {111, 205} <= set(found)


def test_an_entry_under_the_name_of_another_is_found(out):
    shutil.copy(entry_path(out), entry_path(out, "train-000002.tar"))
    assert codes(verify(out)) == [113]
    shutil.copy(entry_path(out), entry_path(out, "train-000009.tar"))
    assert codes(verify(out)) == [113, 113]


def test_two_entries_with_one_key_are_found(out):
    entry = entry_of(out)
    first = entry_of(out, "train-000000.tar").keys[0]
    entry.keys[3] = first
    replace_entry(out, entry)
    (finding,) = verify(out).findings
    assert (finding.code.code, finding.shard, finding.key) == ("W118", SHARD, first)
    assert finding.offset == list(entry.samples())[3].offset
    assert finding.detail == "also in train-000000.tar"


def test_a_damaged_entry_is_not_reported_as_a_damaged_shard(out):
    """Flips all over an entry: found at depth samples, and never an accusation of the shard."""
    path = entry_path(out)
    size = path.stat().st_size
    rng = np.random.default_rng(22)
    ours = {101, 103, 104, 105, 111, 112, 113, 114, 115, 117, 118, 204, 305, 309}
    unseen = 0
    for _ in range(150):
        offset, bit = int(rng.integers(size)), int(rng.integers(8))
        flip(path, offset, bit)
        found = set(codes(verify(out, "samples", workers=1)))
        flip(path, offset, bit)
        assert found <= ours
        unseen += not found
    assert unseen == 0


def test_a_truncated_entry_is_found_at_any_length(out):
    path = entry_path(out)
    data = path.read_bytes()
    for end in range(0, len(data), 37):
        path.write_bytes(data[:end])
        assert 112 in codes(verify(out, "entries"))


def test_a_label_out_of_range_is_found_despite_correct_checksums(tmp_path):
    with wdsremux.ShardWriter(tmp_path / "out") as shards:
        for i in range(3):
            shards.write({"__key__": f"k{i}", "json": {"label": i}})
    struct = {"struct": {"label": {"class_label": ["a", "b"]}}}
    edit_json(tmp_path / "out/index.json", lambda m: m.update(features={"json": struct}))
    report = verify(tmp_path / "out", "samples")
    assert [(f.code.code, f.key) for f in report.findings if f.code.code == "W308"] == [
        ("W308", "k2")
    ]


def test_rejected_records_must_be_those_of_the_entries(out):
    path = out / ".wdsremux/rejected.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    for text in (lines[0], b"", b"".join([*lines, lines[0]]), lines[1] + lines[0], b"{\n{\n"):
        path.write_bytes(text)
        assert codes(verify(out, "entries")) == [117]
    path.unlink()
    assert codes(verify(out, "entries")) == [117]


def test_a_lost_damaged_or_foreign_recipe_is_found(out):
    path = out / ".wdsremux/recipe.json"
    data = path.read_bytes()
    for text in (b"", b"[]", b"{", data[:50]):
        path.write_bytes(text)
        assert codes(verify(out, "entries")) == [116]
    path.unlink()
    assert codes(verify(out, "entries")) == [116]
    path.write_bytes(data)
    edit_json(path, lambda head: head["recipe"].update(seed=5))
    assert set(codes(verify(out, "entries"))) == {115}


def test_an_edited_recipe_does_not_match_its_fingerprint(out):
    (out / "index.json").unlink()
    edit_json(out / ".wdsremux/recipe.json", lambda head: head["recipe"].update(seed=5))
    assert sorted(codes(verify(out, "entries"))) == [102, 115]


def test_entries_of_another_recipe_are_found(out):
    replace_entry(out, replace(entry_of(out), fingerprint="f" * 64))
    (finding,) = verify(out, "entries").findings
    assert finding.code.code == "W115"
    assert "ffffffffffff" in finding.detail


def test_left_over_files_and_cards_are_warnings(out):
    (out / ".train-000004.tar.host-1.wdsremux-tmp").write_bytes(b"")
    (out / ".wdsremux/.x.msgpack.host-1.wdsremux-tmp").write_bytes(b"")
    (out / "README.md").unlink()
    report = verify(out)
    assert sorted(codes(report)) == [119, 119, 120]
    assert report.errors == 0
    assert report.exit_code == 1


def test_a_correct_card_of_the_user_is_clean(out):
    path = out / "README.md"
    text = path.read_text()
    path.write_text(text.replace("<!-- card written by wdsremux", "<!-- my card"))
    assert verify(out).findings == ()
    path.write_text(text.replace("num_examples: 38", "num_examples: 39"))
    assert codes(verify(out)) == [121]
    path.write_text("# my notes")
    assert codes(verify(out)) == [120]


@pytest.mark.parametrize(
    "text", ["---\n[\n---\n", "---\n- 1\n---\n", "---\n&a [*a]\n---\n", "---\n"]
)
def test_a_card_that_cannot_be_read_is_a_warning(out, text):
    (out / "README.md").write_text(text)
    assert codes(verify(out)) == [120]
