"""Datasets to sync and a destination in memory, for all tests of a sync; short, as only fixtures are here."""

import pytest
from support.remote_memory import URL, RemoteMemory
from support.verified import copied, make_dataset

from wdsremux.stores import registry


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Return a dataset of the same source, with fewer shards of the same names."""
    return make_dataset(tmp_path_factory.mktemp("other") / "out", limit=24, max_shard_size="50KB")


@pytest.fixture
def out(made, tmp_path):
    return copied(made, tmp_path / "out")


@pytest.fixture
def place(monkeypatch):
    """Return the place that mem://place names."""
    place = RemoteMemory(URL)
    real = registry.open_store
    monkeypatch.setattr(registry, "open_store", lambda w, **_: place if w == URL else real(w))
    return place
