"""What the entries record together: the owners of keys, and the locations of samples."""

import shutil
from array import array
from contextlib import closing
from dataclasses import replace

from support.verified import SHARD, entry_path, make_dataset

from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.stores.reading.untrusted import UntrustedFolder
from wdsremux.verifying.checks.own_dataset import OwnDataset
from wdsremux.verifying.findings import Code
from wdsremux.verifying.reports import Collector
from wdsremux.verifying.verify import verify


class Unsliced(array):
    """Sizes that must not be summed for each key: that takes quadratic time."""

    def __getitem__(self, place):
        assert isinstance(place, int)
        return super().__getitem__(place)


def test_duplicate_keys_are_reported_once_with_their_offsets(tmp_path):
    out = make_dataset(tmp_path / "out", rows=20, broken=())
    entry = ShardEntry.from_bytes(entry_path(out).read_bytes(), SHARD)
    entry = replace(entry, sizes=Unsliced("Q", entry.sizes))
    twin = replace(entry, summary=replace(entry.summary, name="train-000009.tar"))
    found = Collector()
    with UntrustedFolder(out) as folder, closing(KeyRegister()) as keys:
        dataset = OwnDataset(folder, found, keys)
        dataset._register_keys(entry)
        dataset._register_keys(twin)
    doubles = found.findings()
    assert {finding.code for finding in doubles} == {Code.KEY_DUPLICATE}
    assert [finding.offset for finding in doubles] == [one.offset for one in entry.samples()]
    assert {finding.detail for finding in doubles} == {f"also in {SHARD}"}


def test_keys_in_leftovers_of_an_older_dataset_are_not_reported(tmp_path):
    out = make_dataset(tmp_path / "out", rows=20, broken=())
    entry = ShardEntry.from_bytes(entry_path(out).read_bytes(), SHARD)
    left = replace(entry, summary=replace(entry.summary, name="train-000009.tar"))
    entry_path(out, "train-000009.tar").write_bytes(left.to_bytes())
    shutil.copy(out / SHARD, out / "train-000009.tar")
    codes = {finding.code for finding in verify(out, "bytes").findings}
    assert Code.KEY_DUPLICATE not in codes
    assert Code.ENTRY_EXTRA in codes
