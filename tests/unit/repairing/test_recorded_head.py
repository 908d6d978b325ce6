"""Which head is right when recipe.json and index.json differ, or one of them is lost."""

import json
from dataclasses import replace

import pytest
from support.summaries import manifest_of

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.head import fingerprint_of
from wdsremux.core.manifest import indented_json
from wdsremux.dataset.card import card_bytes
from wdsremux.repairing.recorded_head import find_head
from wdsremux.stores.reading.untrusted import UntrustedFolder


def signed(**changes):
    """Return a manifest whose fingerprint is right."""
    known = {
        "options": {"seed": 42, "copies": 1},
        "series": ("train",),
        "origin": {"source": "a", "transform": None},
    }
    manifest = manifest_of(**(known | changes))
    return changed(manifest, fingerprint=fingerprint_of(manifest.head.to_json()))


def changed(manifest, **changes):
    """Return a manifest with other fields of its head."""
    return replace(manifest, head=replace(manifest.head, **changes))


WHOLE = signed()


@pytest.fixture
def out(tmp_path):
    """Return a dataset's folder with both heads and the card."""
    (tmp_path / ".wdsremux").mkdir()
    write(tmp_path, WHOLE, WHOLE)
    (tmp_path / "README.md").write_bytes(card_bytes(WHOLE))
    return tmp_path


def write(out, manifest, recipe):
    (out / "index.json").write_bytes(manifest.to_bytes())
    (out / ".wdsremux/recipe.json").write_bytes(indented_json(recipe.head.to_json()))


def found(out):
    with UntrustedFolder(out) as folder:
        return find_head(folder, "out")


def test_equal_records_are_accepted(out):
    assert found(out).head == WHOLE.head
    assert found(out).manifest == WHOLE


@pytest.mark.parametrize("data", [None, b"", b"{}", b"[1]", b"\xff", b'{"format": 1}'])
@pytest.mark.parametrize("name", ["index.json", ".wdsremux/recipe.json"])
def test_a_lost_record_is_replaced_by_the_other(out, name, data):
    (out / name).unlink() if data is None else (out / name).write_bytes(data)
    assert found(out).head == WHOLE.head


@pytest.mark.parametrize(
    "wrong",
    [
        changed(WHOLE, options=WHOLE.head.options | {"seed": 43}),
        changed(WHOLE, source={"kind": "demo."}),
        changed(WHOLE, copies=2),
        changed(WHOLE, fingerprint="0" * 64),
        changed(WHOLE, features={"jpg": "image"}),
    ],
)
def test_a_record_that_contradicts_its_fingerprint_is_wrong(out, wrong):
    write(out, WHOLE, wrong)
    assert found(out).head == WHOLE.head
    write(out, wrong, WHOLE)
    assert found(out).head == WHOLE.head


@pytest.mark.parametrize("change", [{"name": "pats"}, {"notes": ()}, {"class_names": ("a",)}])
def test_a_record_in_another_layout_is_wrong(out, change):
    wrong = changed(WHOLE, **change)
    write(out, WHOLE, wrong)
    (out / ".wdsremux/recipe.json").write_text(json.dumps(wrong.head.to_json()))
    (out / "README.md").unlink()
    assert found(out).head == WHOLE.head


@pytest.mark.parametrize(
    "change",
    [
        {"name": "pats"},
        {"notes": ("packed anew",)},
        {"features": WHOLE.head.features | {"jpg": "text"}},
    ],
)
def test_the_card_decides_which_record_is_right(out, change):
    write(out, WHOLE, changed(WHOLE, **change))
    assert found(out).head == WHOLE.head
    write(out, changed(WHOLE, **change), WHOLE)
    assert found(out).head == WHOLE.head


def test_an_undecidable_difference_is_reported(out):
    write(out, WHOLE, changed(WHOLE, origin={"source": "b", "transform": None}))
    with pytest.raises(
        CorruptDataError, match=r'place\.source is "a" in the first and "b" in the second'
    ):
        found(out)


def test_two_conversions_contradict_each_other(out):
    write(out, WHOLE, signed(source={"kind": "other"}))
    with pytest.raises(CorruptDataError, match="contradict each other"):
        found(out)


@pytest.mark.parametrize("series", [("../train",), ("a/b",), ("",), (5,)])
def test_a_series_outside_the_folder_is_refused(out, series):
    write(out, signed(series=series), signed(series=series))
    with pytest.raises(CorruptDataError, match="neither"):
        found(out)


def test_shards_of_other_tools_have_no_recipe(out):
    (out / "index.json").write_bytes(changed(WHOLE, options={"writer": "index"}).to_bytes())
    with pytest.raises(UsageError, match="written by index"):
        found(out)


def test_records_lost_completely_are_reported(tmp_path):
    with pytest.raises(CorruptDataError, match="contains no dataset"):
        found(tmp_path)
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(CorruptDataError, match="wdsremux index"):
        found(tmp_path)
    (tmp_path / ".wdsremux").mkdir()
    (tmp_path / ".wdsremux/a.msgpack").write_bytes(b"")
    with pytest.raises(CorruptDataError, match="neither"):
        found(tmp_path)
