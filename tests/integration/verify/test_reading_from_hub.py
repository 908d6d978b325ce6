"""An output on the Hub is verified by its LFS SHA-256 and read by its URL."""

import itertools
import json

import pytest
from support.verified import SHARD, codes, make_dataset

import wdsremux
from wdsremux.cli.main import main
from wdsremux.stores.registry import open_store

pytestmark = [
    pytest.mark.integration,
    # The client's own upload by LFS.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]

TOKEN = "hf_readingreadingreading"  # noqa: S105 (of the fake)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def url(hub, made, monkeypatch):
    """Return the URL that an output was copied to."""
    hub.configure(token=TOKEN, user="reader", lfs_threshold=1000)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    url = f"hf://datasets/reader/out{next(NUMBERS)}"
    wdsremux.sync(made, url)
    return url


def test_an_output_on_the_hub_is_verified_read_and_listed(url, made, capsysbinary):
    report = wdsremux.verify(url)
    assert (report.findings, report.proofs) == ((), {"checksum": 5})
    assert report.size_bytes == 0
    assert wdsremux.verify(url, "samples", deep=True).findings == ()
    there, here = wdsremux.load(url)[20], wdsremux.load(made)[20]
    assert there.pop("image").tobytes() == here.pop("image").tobytes()
    assert there == here
    assert main(["cat", url, "12.json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["position"] == 12


def test_other_bytes_of_the_same_size_are_found_without_reading(url, made):
    data = bytearray((made / SHARD).read_bytes())
    data[700] ^= 1
    staged = open_store(url).stage(SHARD)
    staged.write(data)
    staged.commit()
    report = wdsremux.verify(url)
    assert codes(report) == [205]
    (finding,) = wdsremux.verify(url, deep=True).findings
    assert (finding.code.code, finding.key) == ("W201", "000000010")
