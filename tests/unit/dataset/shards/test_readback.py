"""A shard read back: its entry can be made from it, and a foreign shard has no entry."""

import hashlib
from dataclasses import replace
from io import FileIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import keys_of
from support.series_runs import Rows, plan_of, write
from support.summaries import summary_of

from wdsremux.core.tar import ustar
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.dataset.shards.readback import read_back

EXTENSIONS = ("jpg", "json")
JSON = b'{"label":1,"position":%d}'


def tar_of(samples):
    """Return a tar of (key, image, json) as our writer lays it out."""
    data = b""
    for key, image, entry in samples:
        for extension, content in zip(EXTENSIONS, (image, entry), strict=True):
            data += ustar.header(f"{key}.{extension}", len(content)) + content
            data += ustar.padding(len(content))
    return data + ustar.trailer(len(data))


def content_of(tmp_path, data, taps=()):
    path = tmp_path / "shard.tar"
    path.write_bytes(data)
    with FileIO(path) as file:
        return read_back(file, EXTENSIONS, taps)


def whole(rows=3):
    return tar_of((f"{i:09d}", bytes(i * 300), JSON % i) for i in range(rows))


def test_the_samples_read_back_are_those_of_the_tar(tmp_path):
    data = whole()
    seen = []
    content = content_of(tmp_path, data, [lambda block: seen.append(len(block))])
    assert content.problem is None
    assert content.keys == keys_of(data)
    assert list(content.positions) == [0, 1, 2]
    assert list(content.members) == [0, 24, 300, 24, 600, 24]
    assert (content.size_bytes, content.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert sum(seen) == len(data)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data[:700], "cut off"),
        (lambda data: data[:300], "cut off"),
        (lambda data: data.replace(b".json", b".text", 1), "layout"),
        (lambda data: data.replace(b'"position"', b'"Position"', 1), "position"),
        (lambda data: data.replace(b'{"label"', b'["label"', 1), ""),
        (lambda data: data.replace(b":1}", b":x}", 1), ""),
        (lambda data: data[512:], "layout"),
        (lambda data: data[:124] + b"77777777777" + data[135:], ""),
        (lambda data: b"\xff" * len(data), ""),
        (lambda _data: b"", "cut off"),
    ],
)
def test_damage_is_reported_and_the_checksum_covers_the_whole_file(tmp_path, change, problem):
    data = change(whole())
    content = content_of(tmp_path, data)
    assert content.problem is not None
    assert problem in content.problem
    assert content.sha256 == hashlib.sha256(data).hexdigest()


rows_drawn = st.builds(
    Rows,
    st.lists(st.none() | st.tuples(st.integers(0, 3000), st.just(0)), min_size=1).filter(any),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
)


@given(rows_drawn)
def test_an_entry_made_of_the_shard_is_the_one_that_was_written(tmp_path_factory, rows):
    written = write(rows, plan_of(Bounds(30_720), extensions=("jpg", "json")))
    folder = tmp_path_factory.mktemp("shards")
    for entry, data in zip(written.entries, written.shards.values(), strict=True):
        content = content_of(folder, with_positions(data, entry))
        assert content.problem is None
        made = content.entry(entry.summary, entry.fingerprint, entry.extensions, entry.rejected)
        assert (made.keys, made.positions) == (entry.keys, entry.positions)
        assert made.rejected == entry.rejected


def with_positions(data, entry):
    """Return a shard of the same samples whose JSON has the position, as that of wdsremux."""
    contents = (data[at : at + size] for s in entry.samples() for _, at, size in s.members[:1])
    return tar_of(
        (key, image, JSON % position)
        for key, image, position in zip(entry.keys, contents, entry.positions, strict=True)
    )


def test_it_matches_only_its_own_summary(tmp_path):
    data = whole()
    content = content_of(tmp_path, data)
    own = summary_of(
        number=0,
        samples=3,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        first_position=0,
        last_position=2,
    )
    assert content.fits(own)
    for other in ({"samples": 2}, {"sha256": "0" * 64}, {"last_position": 3}, {"size_bytes": 1}):
        assert not content.fits(replace(own, **other))
