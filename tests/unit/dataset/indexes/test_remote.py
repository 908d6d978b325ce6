"""Indexes for other loaders at a URL: written by the conversion, or beside what is stored there.

Short because all it needs is a store in memory.
"""

import hashlib

import pytest
from support.ranged_store import URL, RangedStore, named
from support.runs import files_of
from support.verified import make_dataset

import wdsremux
from wdsremux.dataset.indexes.record import INDEXES_NAME

ROWS = {"rows": 30, "copies": 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", index="all", **ROWS)


def sums_of(files):
    """Return the SHA-256 of all files but the manifest, which records the URL."""
    kept = {name: data for name, data in files.items() if name not in ("index.json", "lock")}
    return {name: hashlib.sha256(data).hexdigest() for name, data in kept.items()}


def test_an_output_without_indexes_gets_them_where_it_is(made, tmp_path, monkeypatch):
    plain = make_dataset(tmp_path / "out", **ROWS)
    store = named(RangedStore(plain), monkeypatch)
    wdsremux.index(URL, kinds="all")
    assert sums_of(store.files) == sums_of(files_of(made))
    assert not [name for name, *_ in store.asked if name.endswith(".tar")]
    assert wdsremux.verify(URL, deep=True).findings == ()


def test_a_damaged_index_at_a_url_is_found_and_renewed(made, monkeypatch):
    store = named(RangedStore(made), monkeypatch)
    data = store.files["sizes.json"]
    store.files["sizes.json"] = data[:-3]
    assert [one.shard for one in wdsremux.verify(URL).findings] == ["sizes.json"]
    store.files["sizes.json"] = data.replace(b"train", b"t_ain")
    assert wdsremux.verify(URL).findings == ()  # of the same size: it is not read
    assert [one.shard for one in wdsremux.verify(URL, deep=True).findings] == ["sizes.json"]
    wdsremux.index(URL)
    assert wdsremux.verify(URL, deep=True).findings == ()


def test_a_conversion_to_a_url_publishes_the_same_indexes_before_the_manifest(made, monkeypatch):
    store = named(RangedStore(), monkeypatch)
    make_dataset(URL, index="all", **ROWS)
    there, here = sums_of(store.files), sums_of(files_of(made))
    assert there.keys() == here.keys()
    assert there[INDEXES_NAME] == here[INDEXES_NAME]
    assert [*store.files][-1] == "index.json"
    assert wdsremux.verify(URL, deep=True).findings == ()
