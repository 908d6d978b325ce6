from concurrent.futures import ThreadPoolExecutor

import pytest

from wdsremux.shards.holders import KeyHolders


@pytest.fixture
def holders():
    made = KeyHolders()
    yield made
    made.close()


def test_a_key_belongs_to_the_shard_that_had_it_first(holders):
    assert holders.doubles("a.tar", ["1", "2"]) == []
    assert holders.doubles("b.tar", ["3", "2", "1"]) == [(1, "a.tar"), (2, "a.tar")]
    assert holders.doubles("c.tar", ["3"]) == [(0, "b.tar")]


def test_a_key_that_comes_back_in_its_own_shard_is_told(holders):
    assert holders.doubles("a.tar", ["1", "2", "1"]) == [(2, "a.tar")]
    assert holders.doubles("a.tar", ["2"]) == [(0, "a.tar")]


def test_any_text_can_be_a_key_and_any_name_a_shard(holders):
    assert holders.doubles("\udc80.tar", ["", "ä\0b", "x" * 10_000]) == []
    assert holders.doubles("b.tar", ["ä\0b"]) == [(0, "\udc80.tar")]


def test_several_threads_may_ask(holders):
    keys = [str(i) for i in range(500)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: holders.doubles(f"{n}.tar", keys), range(4)))
    assert sum(len(doubles) for doubles in found) == 3 * 500
