"""What differs between two heads: the first difference, with both values and the remedy."""

import pytest
from support.summaries import head_of

from wdsremux.dataset.head import added_files, first_difference, head_difference


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": None}, {}, None),
        ({"a": 1}, {"a": 2}, ("a", "1", "2")),
        ({"a": 1}, {}, ("a", "1", "null")),
        ({}, {"a": 1}, ("a", "null", "1")),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ("a.b[1]", "2", "3")),
        ({"a": [1]}, {"a": [1, 2]}, ("a", "[1]", "[1, 2]")),
        (
            {"files": [{"name": "x.tar", "size": 1}]},
            {"files": [{"name": "x.tar", "size": 2}]},
            ("files[x.tar].size", "1", "2"),
        ),
        ({"a": {"b": 1}}, {"a": "b"}, ("a", '{"b": 1}', '"b"')),
        ({"a": "ü"}, {"a": "o"}, ("a", '"ü"', '"o"')),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, ("b", "1", "2")),
    ],
)
def test_the_first_difference_is_named_with_both_values(old, new, difference):
    assert first_difference(old, new) == difference


def test_long_values_are_shortened():
    _, old, new = first_difference({"a": "x" * 1000}, {"a": "y" * 1000})
    assert len(old) == len(new) == 120
    assert old.endswith("...")


def file(name, rows=10, *, size=1000, split="train", **more):
    return {"name": name, "split": split, "bytes": size, "rows": rows, **more}


def source(*files, kind="parquet", **more):
    return {"kind": kind, **more, "files": list(files)}


def reported(old, new):
    return head_difference(head_of(source=old), head_of(source=new), "source")


A, B, C = file("a.parquet"), file("b.parquet"), file("c.parquet")


def test_equal_sources_have_no_difference():
    assert reported(source(A, B), source(A, B)) is None


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (source(A, {**B, "bytes": 1001}), "file 'b.parquet': bytes was 1000, now it is 1001"),
        (
            source(A, {**B, "bytes": 7, "rows": 3}),
            "file 'b.parquet': bytes was 1000, now it is 7, rows was 10, now it is 3",
        ),
        (source(A), "file 'b.parquet' is missing"),
        (source(B), "file 'a.parquet' is missing"),
        (source(A, C, B), "file 'c.parquet' is new"),
        (source(C, A, B, file("d")), "file 'c.parquet' and 1 more are new"),
        (source(A, {**B, "split": "test"}), "file 'b.parquet' is missing"),
    ],
)
def test_a_changed_source_is_reported_by_its_first_changed_file(new, text):
    assert reported(source(A, B), new) == (
        f"the source has changed: {text}; restore the source to resume"
    )


def test_files_in_another_order_are_reported():
    assert 'files[a.parquet].name was "a.parquet", now it is "b.parquet"' in reported(
        source(A, B), source(B, A)
    )


def test_another_kind_of_source_is_reported():
    text = reported(source(A), source(A, kind="tars"))
    assert 'source.kind was "parquet", now it is "tars"' in text


def test_an_appended_file_may_be_added_by_extending():
    assert reported(source(A, B), source(A, B, C)) == (
        "the source has changed: file 'c.parquet' is new; restore the source to resume, "
        "or pass --extend to add shards for the new rows"
    )


ONE, OTHER = "1" * 40, "2" * 40
HUB_A, HUB_B = file("a", oid="a" * 40), file("b", oid="b" * 40)


def hub(commit, *files):
    return source(*files, kind="hub", repo="u/set", commit=commit)


def test_another_commit_with_the_same_files_is_named_by_revision():
    assert reported(hub(ONE, HUB_A), hub(OTHER, HUB_A)) == (
        f"the source has changed: commit was {ONE}, now it is {OTHER}; "
        f"pass --revision {ONE} to resume"
    )


def test_another_commit_is_reported_by_its_changed_file():
    text = reported(hub(ONE, HUB_A), hub(OTHER, {**HUB_A, "oid": "c" * 40}))
    assert f"file 'a': oid was {'a' * 40}, now it is {'c' * 40} (commit was {ONE}" in text
    assert text.endswith(f"pass --revision {ONE} to resume")


@pytest.mark.parametrize(
    ("old", "new", "added"),
    [
        (source(A), source(A, B, C), [B, C]),
        (source(A), source(A, file("t", split="test")), [file("t", split="test")]),
        (
            source(A, file("t", split="test")),
            source(A, B, file("t", split="test")),
            [B],
        ),
        (source(A), source(A), []),
        (source(A, B), source(A), []),
        (source(A, C), source(A, B, C), []),
        (source(A), source({**A, "rows": 11}, B), []),
        (source(A), source(A, B, kind="tars"), []),
        (source(A, root="x"), source(A, B, root="y"), []),
        # By its hash a file is the same in every commit, under any name.
        (hub(ONE, HUB_A), hub(OTHER, {**HUB_A, "name": "z"}, HUB_B), [HUB_B]),
        (hub(ONE, HUB_A), hub(OTHER, {**HUB_A, "oid": "c" * 40}, HUB_B), []),
        (hub(ONE, file("a")), hub(OTHER, file("a"), HUB_B), []),
        ({"kind": "folder", "files": 3}, {"kind": "folder", "files": 4}, []),
        ({"kind": "demo"}, {"kind": "demo"}, []),
    ],
)
def test_added_files_come_after_unchanged_old_ones(old, new, added):
    assert added_files(old, new) == added


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ("augment.py:turn", "'augment.py', the file of your function 'turn', has changed since; "),
        (None, ": your function 'turn' has changed since; restore it to resume"),
    ],
)
def test_a_changed_function_is_reported_by_its_file(arguments, reported):
    old, new = (
        head_of(
            options={"transform": {"name": "turn", "sha256": sha256}},
            origin={"transform": arguments},
        )
        for sha256 in ("3abc", "84f2")
    )
    assert reported in head_difference(old, new, "recipe")
