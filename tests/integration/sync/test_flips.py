"""One bit that flips anywhere on the wire: repaired, or an error after which the next run is right."""

import hashlib
import json
import random

import pytest
from support.fault_proxy import FaultProxy
from support.flipping_proxy import FlippingProxy
from support.runs import tree
from support.s3_server import found
from support.verified import make_dataset

import wdsremux
from wdsremux.core.errors import CorruptDataError, WdsremuxError
from wdsremux.stores.s3.store import open_s3

pytestmark = pytest.mark.integration

FLIPS = 8
"""In each direction of each copy."""
PATIENCE_S = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=16)


@pytest.fixture(scope="module")
def proxy(seaweedfs):
    with FlippingProxy(seaweedfs.port) as listening:
        yield listening


def synced(*ends):
    """Copy a dataset: a run that fails is repeated, and then it succeeds."""
    try:
        wdsremux.sync(*ends, give_up_after=PATIENCE_S)
    except CorruptDataError as exc:
        raise AssertionError("a flip on the wire was taken for damage at FROM") from exc
    except WdsremuxError:
        wdsremux.sync(*ends, give_up_after=PATIENCE_S)


def files_at(seaweedfs, url):
    """Return the SHA-256 of every object, and the index, of a dataset: past the proxy."""
    with found(seaweedfs.settings()):
        store = open_s3(url)
        names = [name for name, _ in (*store.list(), *store.list(".wdsremux"))]
        files = {name: store.read(name, 1 << 30) for name in names}
    index = json.loads(files.pop("index.json"))
    index.pop("published")
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}, index


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_flipped_bit_is_never_in_an_upload(made, seaweedfs, proxy, direction):
    chance = random.Random(direction)  # noqa: S311
    index = json.loads((made / "index.json").read_bytes())
    whole = {name: sum_ for name, sum_ in tree(made).items() if name != "index.json"}
    total = 0
    with found(seaweedfs.settings(proxy.url)):
        for number in range(FLIPS + 1):
            there = seaweedfs.new_place()
            proxy.flip(direction, chance.randrange(total) if number else None)
            synced(made, there)
            # The first copy is undisturbed, and shows how much passes.
            total = total or getattr(proxy, direction).passed
            assert files_at(seaweedfs, there) == (whole, index)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_flipped_bit_is_never_in_a_download(made, seaweedfs, proxy, tmp_path, direction):
    chance = random.Random(direction)  # noqa: S311
    source = seaweedfs.new_place()
    total = 0
    with found(seaweedfs.settings(proxy.url)):
        wdsremux.sync(made, source)
        for number in range(FLIPS + 1):
            there = tmp_path / str(number)
            proxy.flip(direction, chance.randrange(total) if number else None)
            synced(source, there)
            total = total or getattr(proxy, direction).passed
            assert tree(there) == tree(made)


@pytest.mark.parametrize("name", [r"index\.json", r"\.msgpack", r"\.tar", r"recipe\.json"])
def test_a_file_that_is_damaged_on_its_way_is_fetched_once_more(made, seaweedfs, tmp_path, name):
    with FaultProxy(seaweedfs.port) as faulty, found(seaweedfs.settings(faulty.url)):
        source = seaweedfs.new_place()
        wdsremux.sync(made, source)
        flip = faulty.add("flip_answer", 50, method="GET", match=name)
        wdsremux.sync(source, tmp_path / "there")
        assert flip.hits == 1
        assert tree(tmp_path / "there") == tree(made)
        flip.hits = 0
        assert wdsremux.verify(source, deep=name == r"\.tar").exit_code == (name == r"\.tar")
