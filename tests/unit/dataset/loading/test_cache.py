"""The cache folder: what was fetched once is not fetched again, and its bound holds."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from wdsremux.core.errors import UsageError
from wdsremux.dataset.loading.cache import Cache, ChunkCache, cache_of


def chunk(number, size_bytes=1000):
    return bytes([number % 256]) * size_bytes


def used_bytes(folder):
    return sum(path.stat().st_size for path in (folder / "chunks").iterdir())


def refused():
    raise AssertionError("it is in the cache")


def test_a_chunk_is_fetched_once_for_all_caches(tmp_path):
    settings = Cache(tmp_path, 10_000)
    assert ChunkCache(settings).get("a", lambda: chunk(1), 1000) == chunk(1)
    assert ChunkCache(settings).get("a", refused, 1000) == chunk(1)


def test_the_bound_holds_and_the_least_recently_used_go_first(tmp_path):
    cache = ChunkCache(Cache(tmp_path, 10_000))
    for number in range(30):
        cache.get(f"{number}", lambda number=number: chunk(number), 1000)
        os.utime(tmp_path / "chunks" / f"{number}", ns=(number, number))
        if number:
            cache.get("0", lambda: chunk(0), 1000)  # used all the time
        assert used_bytes(tmp_path) <= 10_000
    assert cache.get("0", refused, 1000) == chunk(0)
    assert cache.get("29", refused, 1000) == chunk(29)
    assert not (tmp_path / "chunks" / "5").exists()


def test_the_bound_holds_for_a_folder_that_was_filled_under_a_larger_one(tmp_path):
    cache = ChunkCache(Cache(tmp_path, 50_000))
    for number in range(40):
        cache.get(f"{number}", lambda number=number: chunk(number), 1000)
    ChunkCache(Cache(tmp_path, 8_000)).get("new", lambda: chunk(7), 1000)
    assert used_bytes(tmp_path) <= 8_000


def test_a_chunk_larger_than_the_bound_is_not_kept(tmp_path):
    cache = ChunkCache(Cache(tmp_path, 500))
    assert cache.get("a", lambda: chunk(1), 1000) == chunk(1)
    assert used_bytes(tmp_path) == 0


@pytest.mark.parametrize("damage", [b"", b"x" * 1004, b"short"], ids=["empty", "other", "cut"])
def test_a_damaged_chunk_is_fetched_again(tmp_path, damage):
    cache = ChunkCache(Cache(tmp_path, 10_000))
    cache.get("a", lambda: chunk(1), 1000)
    (tmp_path / "chunks" / "a").write_bytes(damage)
    assert cache.get("a", lambda: chunk(1), 1000) == chunk(1)
    assert cache.get("a", refused, 1000) == chunk(1)


def test_an_unfinished_file_of_a_killed_process_is_overwritten(tmp_path):
    cache = ChunkCache(Cache(tmp_path, 10_000))
    (tmp_path / "chunks" / ".new").write_bytes(b"half")
    (tmp_path / "locks" / "total").write_text("")
    assert cache.get("a", lambda: chunk(1), 1000) == chunk(1)
    assert cache.get("a", refused, 1000) == chunk(1)


def test_threads_that_want_the_same_chunk_fetch_it_once(tmp_path):
    cache = ChunkCache(Cache(tmp_path, 10_000))
    begin = threading.Barrier(4)
    fetched = []

    def want(_):
        begin.wait()
        return cache.get("a", lambda: fetched.append(1) or chunk(1), 1000)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(want, range(4))) == {chunk(1)}
    assert fetched == [1]


def test_a_failed_fetch_leaves_nothing_and_is_tried_again(tmp_path):
    cache = ChunkCache(Cache(tmp_path, 10_000))
    with pytest.raises(ConnectionError):
        cache.get("a", lambda: (_ for _ in ()).throw(ConnectionError()), 1000)
    assert cache.get("a", lambda: chunk(1), 1000) == chunk(1)


def test_a_size_that_cannot_be_read_is_named():
    with pytest.raises(UsageError, match="cache_size='ten'"):
        cache_of("cache", "ten")
    assert cache_of(None, "10GB") is None
