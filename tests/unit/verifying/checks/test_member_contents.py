import json

import pytest
from support.corpora import jpeg

from wdsremux.transforms.base import DecodeError
from wdsremux.verifying.checks.member_contents import (
    ImageCheck,
    Schema,
    content_of,
    parsed_object,
    text_problem,
)
from wdsremux.verifying.findings import Code
from wdsremux.verifying.reports import Collector

FEATURES = {
    "jpg": "image",
    "json": {
        "struct": {
            "label": {"class_label": ["cat", "dog"]},
            "label_name": "string",
            "n": "int64",
            "x": "float64",
            "on": "bool",
            "tags": {"list": "string"},
            "box": {"struct": {"w": "int32"}},
        }
    },
}
GOOD = {
    "label": 1, "label_name": "dog", "n": 3, "x": 1.5, "on": True, "tags": ["a"], "box": {"w": 1},
}  # fmt: skip


def problem(**changes):
    """Return the finding that a changed JSON gives."""
    found = Collector("s.tar")
    value = {name: item for name, item in (GOOD | changes).items() if item is not ...}
    Schema(FEATURES).check(value, "k", 5, found)
    findings = found.findings()
    assert len(findings) <= 1
    return (findings[0].code, findings[0].detail) if findings else None


def test_json_as_the_features_say_is_clean():
    assert problem() is None


@pytest.mark.parametrize("name", GOOD)
def test_null_has_every_type(name):
    assert problem(**{name: None}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", "3"), ("n", 3.0), ("n", True), ("x", "1"), ("x", False), ("on", 1), ("on", "yes"),
        ("tags", "a"), ("tags", [1]), ("box", []), ("box", {"w": "1"}), ("box", {"h": 1}),
    ],
)  # fmt: skip
def test_another_type_is_found(name, value):
    code, detail = problem(**{name: value})
    assert code is Code.JSON_SCHEMA
    assert repr(name) in detail


def test_a_missing_and_a_new_field_are_found():
    assert problem(n=...) == (Code.JSON_SCHEMA, "'n' is missing")
    assert problem(more=1) == (Code.JSON_SCHEMA, "'more' is not among the features")


@pytest.mark.parametrize("label", [2, -2, 1.0, "cat", True, 10**30])
def test_a_label_that_is_not_a_class_is_found(label):
    assert problem(label=label, label_name=None)[0] is Code.LABEL_RANGE


def test_missing_labels_are_clean():
    assert problem(label=-1, label_name=None) is None
    assert problem(label=None, label_name=None) is None


def test_a_label_with_the_name_of_another_is_found():
    assert problem(label=0)[0] is Code.LABEL_RANGE
    assert problem(label=-1)[0] is Code.LABEL_RANGE


@pytest.mark.parametrize("features", [{}, {"json": "struct"}, {"json": {"struct": 5}}, {"json": 1}])
def test_without_features_nothing_is_compared(features):
    found = Collector("s.tar")
    Schema(features).check({"anything": 1}, "k", 0, found)
    assert found.findings() == []


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"3", b'{"a": NaN}', b"\xff{}", b"[" * 100_000, b"{" * 9000]
)
def test_json_that_is_not_an_object_is_refused(data):
    assert parsed_object(data) is None


def test_a_json_object_is_read():
    assert parsed_object(json.dumps({"a": "ä"}).encode()) == {"a": "ä"}


def test_numbers_and_strings_are_read_as_by_webdataset():
    assert text_problem(b"12", "number") is None
    assert text_problem(b" 3\n", "number") is None
    assert "invalid literal" in text_problem(b"cat", "number")
    assert text_problem("ä".encode(), "text") is None
    assert text_problem(b"\xff", "text")
    assert text_problem(b"9" * 5000, "number")


@pytest.mark.parametrize(
    ("field", "samples", "pixels"),
    [
        ("json", "json", "json"), ("cls", "number", "number"), ("a.txt", "text", "text"),
        ("jpg", None, "image"), ("seg.png", None, "image"), ("npy", None, None), ("", None, None),
    ],
)  # fmt: skip
def test_the_depth_selects_which_members_are_parsed(field, samples, pixels):
    assert content_of(field, "bytes") is None
    assert content_of(field, "samples") == samples
    assert content_of(field, "pixels") == pixels


def test_an_image_is_decoded_in_full():
    images = ImageCheck(None)
    data = jpeg(1, 30, 20)
    assert images.size_of(data) == (30, 20)
    with pytest.raises(DecodeError):
        images.size_of(data[: len(data) // 2])
    with pytest.raises(DecodeError):
        images.size_of(b"<html>")
    with pytest.raises(DecodeError, match="600 pixels"):
        ImageCheck(599).size_of(data)
