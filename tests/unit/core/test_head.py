"""A head is read as it was written; one with a malformed field is refused and reported."""

import json

import pytest
from support.summaries import head_of
from support.verified import codes, copied, edit_json, make_dataset

from wdsremux.core.head import Head
from wdsremux.core.manifest import indented_json
from wdsremux.verifying.verify import verify

RECIPE = ".wdsremux/recipe.json"
DEEP = json.loads('{"list": ' * 500 + '"int64"' + "}" * 500)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=4, broken=(1,))


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": []},
        {"notes": [1]},
        {"series": "train"},
        {"class_names": [None]},
        {"copies": True},
        {"versions": []},
        {"place": None},
        {"recipe": {"max_pixels": "x"}},
        {"recipe": {"max_pixels": 0}},
        {"source": {"rows": float("inf")}},
        {"source": DEEP},
        {"features": {"json": {"struct": {"label": {"class_label": 3}}}}},
        {"features": {"json": {"struct": {"label": {"class_label": [], "list": "x"}}}}},
        {"features": {"json": {"struct": {"n": 5}}}},
        {"features": {"json": {"struct": []}}},
        {"features": {"json": {"list": None}}},
    ],
)
def test_a_field_of_another_type_makes_the_head_unreadable(made, tmp_path, change):
    head = json.loads((made / RECIPE).read_bytes())
    assert Head.from_json(head).to_json() == head
    with pytest.raises(ValueError, match=r"malformed|max_pixels|unknown type"):
        Head.from_json(head | change)
    out = copied(made, tmp_path / "out")
    edit_json(out / RECIPE, lambda head: head.update(change))
    assert codes(verify(out, "pixels")) == [116]


def test_a_head_without_a_field_is_unreadable(made):
    head = json.loads((made / RECIPE).read_bytes())
    for name in head:
        fewer = {other: value for other, value in head.items() if other != name}
        with pytest.raises(ValueError, match=f"no field {name!r}"):
            Head.from_json(fewer)


def test_a_head_is_read_as_it_was_written():
    for head in (head_of(), head_of(class_names=None, copies=3, origin={"source": "demo:"})):
        assert Head.from_json(json.loads(indented_json(head.to_json()))) == head


def test_a_manifest_of_odd_types_is_unreadable(made, tmp_path):
    out = copied(made, tmp_path / "out")
    edit_json(out / "index.json", lambda manifest: manifest["recipe"].update(max_pixels="x"))
    assert codes(verify(out, "pixels")) == [101]


PUBLISHED = {"at": "s3://b/p", "loaders": {}, "receipts": {"train-000000.tar": {"etag": "x"}}}


def test_a_manifest_with_a_published_location_is_clean(made, tmp_path):
    out = copied(made, tmp_path / "out")
    edit_json(out / "index.json", lambda manifest: manifest.update(published=PUBLISHED))
    assert codes(verify(out, "pixels")) == []


@pytest.mark.parametrize(
    "change",
    [
        {"at": None},
        {"at": 5},
        {"loaders": []},
        {"receipts": None},
        {"receipts": {"train-000000.tar": "x"}},
        {"receipts": {"train-000000.tar": {"etag": 5}}},
        {"loaders": {"s3": DEEP}},
    ],
)
def test_a_location_of_odd_types_makes_the_manifest_unreadable(made, tmp_path, change):
    out = copied(made, tmp_path / "out")
    edit_json(out / "index.json", lambda manifest: manifest.update(published=PUBLISHED | change))
    assert codes(verify(out, "pixels")) == [101]
