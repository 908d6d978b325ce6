"""Ranged reading of one file from a fake Hub."""

import numpy as np
import pytest
from huggingface_hub import HfApi, hf_hub_url

from wdsremux.core.errors import SourceError
from wdsremux.stores.hub.ranges import HubAccess, HubFile
from wdsremux.stores.hub.reader import AHEAD_PIECES, MAX_PIECE_BYTES, RemoteReader, read_range

pytestmark = pytest.mark.integration

SIZE = 7 * MAX_PIECE_BYTES + 12345


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(0).bytes(SIZE)


@pytest.fixture
def file(hub, data):
    repo, folder = hub.new_repo()
    (folder / "a.bin").write_bytes(data)
    commit = HfApi().dataset_info(repo).sha
    url = hf_hub_url(repo, "a.bin", repo_type="dataset", revision=commit)
    return HubFile(f"{repo} a.bin", url, SIZE, HubAccess(stall_timeout_s=5))


def read_to_the_end(reader):
    while reader.read(1 << 20):
        pass


def test_spans_are_read_in_any_order(file, data):
    rng = np.random.default_rng(1)
    spans = [(0, 10**6), (2 * 10**6, 18 * 10**6), (SIZE - 100, SIZE)]
    reader = RemoteReader(file, spans)
    places = [start for start, _ in spans]
    while any(at < stop for at, (_, stop) in zip(places, spans, strict=True)):
        i = int(rng.integers(len(spans)))
        size = min(int(rng.integers(1, 3 * 10**6)), spans[i][1] - places[i])
        reader.seek(places[i])
        assert reader.read(size) == data[places[i] : places[i] + size]
        places[i] += size
        assert reader.tell() == places[i]
    reader.close()


def test_each_byte_is_fetched_once_and_few_are_buffered(hub, file):
    reader = RemoteReader(file, [(0, SIZE)])
    hub.reset()
    most = 0
    while reader.read(1 << 20):
        most = max(most, len(reader._held))
    assert reader.tell() == SIZE
    assert hub.sent == SIZE, hub.requests
    assert hub.count("GET resolve") == 1
    assert 1 < most <= AHEAD_PIECES
    assert not reader._held
    reader.close()


def test_unannounced_or_repeated_reads_are_fetched_alone(file, data):
    reader = RemoteReader(file, [(100, 200)])
    for start, size in [(0, 100), (100, 100), (100, 100), (50, 300), (SIZE - 5, 99)]:
        reader.seek(start)
        assert reader.read(size) == data[start : start + size]
    reader.close()


def test_a_truncated_response_is_continued(hub, file, data):
    hub.configure(fault_rate=1, fault_kinds=("cut",), fault_match="/cdn/", fault_max=5)
    hub.reset()
    assert read_range(file, 0, 10**6) == data[: 10**6]
    assert hub.faults == 5
    # Each try asked only for what was missing: half, a quarter, ...
    assert hub.sent < 10**6 * 1.1


def test_files_without_a_redirect_are_read(hub, file, data):
    hub.configure(redirect=False)
    assert read_range(file, 5, 1005) == data[5:1005]


def test_a_file_whose_size_has_changed_is_refused(file):
    other = HubFile(file.name, file.url, SIZE + 1, file.access)
    with pytest.raises(SourceError, match="its size has changed"):
        read_range(other, 0, 10)


def test_a_missing_file_is_reported_at_once(file):
    gone = HubFile("u/x b.bin", file.url.replace("a.bin", "b.bin"), SIZE, file.access)
    with pytest.raises(SourceError, match=r"cannot read u/x b\.bin: it has been removed"):
        read_range(gone, 0, 10)


def test_a_stopped_server_is_reported_in_time(hub, file):
    access = HubAccess(give_up_after_s=0.5, stall_timeout_s=0.5)
    reader = RemoteReader(HubFile(file.name, file.url, SIZE, access), [(0, SIZE)])
    assert reader.read(10)
    hub.configure(dead_after=0)
    with pytest.raises(SourceError, match=r"cannot read u/set.*tried for \d s"):
        read_to_the_end(reader)
    reader.close()
