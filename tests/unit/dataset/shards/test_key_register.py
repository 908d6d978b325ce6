"""Duplicate keys: the first row that has a key keeps it."""

import dataclasses
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.samples import members_of, packed_of

from wdsremux.core.errors import StoreError
from wdsremux.core.tar import ustar
from wdsremux.dataset.shards.key_register import KeyRegister


@pytest.fixture
def register():
    register = KeyRegister()
    yield register
    register.close()


def named(packed, keys):
    """Return packed samples whose samples have other keys; the bytes stay."""
    return dataclasses.replace(packed, keys=list(keys))


def test_a_key_is_new_once(register):
    assert register.is_new("a")
    assert not register.is_new("a")
    assert register.is_new("A")


def test_keys_of_existing_shards_are_known(register):
    register.add(["a", "b", "a"])
    assert not register.is_new("a")
    assert register.is_new("c")


def test_a_batch_without_duplicates_is_passed_on_unchanged(register):
    packed = packed_of([(10, 10), (20, 10)])
    assert register.without_duplicates([packed]) == ((packed,), ())


def test_the_second_of_two_equal_keys_is_rejected(register):
    packed = named(packed_of([(10, 1), (20, 2), (30, 3)], positions=[5, 6, 7]), ["a", "a", "b"])
    (kept,), (double,) = register.without_duplicates([packed])
    assert (kept.positions, kept.keys) == ([5, 7], ["a", "b"])
    assert (double.position, double.copy, double.stage, double.key) == (6, 0, "pack", "a")
    assert double.reason == "duplicate key 'a': an earlier row has it"


def test_the_rest_of_a_batch_is_unchanged(register):
    whole = packed_of([(10, 1), (2000, 2), (30, 3)])
    (kept,), _ = register.without_duplicates([named(whole, ["a", "a", "b"])])
    found = members_of(bytes(kept.payload) + ustar.trailer(len(kept.payload)))
    assert [name for name, _, _ in found] == [
        "000000000.jpg",
        "000000000.json",
        "000000002.jpg",
        "000000002.json",
    ]
    assert kept.sizes == [whole.sizes[0], whole.sizes[2]]
    assert kept.crcs == [whole.crcs[0], whole.crcs[2]]
    assert kept.members == [(10, 1), (30, 3)]


def test_keys_are_remembered_from_batch_to_batch(register):
    register.without_duplicates([named(packed_of([(1, 1)]), ["a"])])
    (kept,), (double,) = register.without_duplicates(
        [named(packed_of([(1, 1)], positions=[9]), ["a"])]
    )
    assert (kept.keys, bytes(kept.payload)) == ([], b"")
    assert double.position == 9


def test_a_duplicate_is_rejected_in_every_copy(register):
    packs = [named(packed_of([(1, 1), (1, 1)]), [f"a-c{copy}", f"a-c{copy}"]) for copy in range(2)]
    kept, doubles = register.without_duplicates(packs)
    assert [packed.keys for packed in kept] == [["a-c0"], ["a-c1"]]
    assert [(item.position, item.copy) for item in doubles] == [(1, 0), (1, 1)]


def test_a_key_belongs_to_the_shard_that_had_it_first(register):
    assert register.duplicates("a.tar", ["1", "2"]) == []
    assert register.duplicates("b.tar", ["3", "2", "1"]) == [(1, "a.tar"), (2, "a.tar")]
    assert register.duplicates("c.tar", ["3"]) == [(0, "b.tar")]


def test_a_key_repeated_in_its_own_shard_is_reported(register):
    assert register.duplicates("a.tar", ["1", "2", "1"]) == [(2, "a.tar")]
    assert register.duplicates("a.tar", ["2"]) == [(0, "a.tar")]


def test_any_string_can_be_a_key_and_any_name_a_shard(register):
    assert register.duplicates("\udc80.tar", ["", "ä\0b", "x" * 10_000]) == []
    assert register.duplicates("b.tar", ["ä\0b"]) == [(0, "\udc80.tar")]


def test_several_threads_may_query(register):
    keys = [str(i) for i in range(500)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: register.duplicates(f"{n}.tar", keys), range(4)))
    assert sum(len(doubles) for doubles in found) == 3 * 500


def test_a_key_registered_without_an_owner_has_none(register):
    register.add(["a"])
    assert not register.is_new("a")
    assert register.duplicates("a.tar", ["b", "a"]) == [(1, "")]
    assert not register.is_new("b")


FILLS_A_REGISTER = """
import os, pathlib, signal, sys
from wdsremux.dataset.shards.key_register import KeyRegister

register = KeyRegister()
keys = (f"a-rather-long-key-{i:040d}" for i in range(100_000))
register.duplicates("a.tar", keys) if "owned" in sys.argv else register.add(keys)
files = [path for path in pathlib.Path("/proc/self/fd").iterdir() if path.is_symlink()]
nameless = [path for path in files if os.readlink(path).endswith("(deleted)")]
print([os.stat(path).st_size > 10**6 for path in nameless], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("whose", ["owned", "nobody's"])
def test_a_killed_process_leaves_no_file_of_its_keys(tmp_path, whose):
    folders = {"TMPDIR": str(tmp_path), "SQLITE_TMPDIR": str(tmp_path)}
    killed = subprocess.run(
        [sys.executable, "-c", FILLS_A_REGISTER, whose],
        env={**os.environ, **folders},
        capture_output=True,
        text=True,
        check=False,
    )
    # They were on disk, not in memory; but in a deleted file.
    assert killed.stdout == "[True]\n", killed.stderr
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_full_temporary_disk_is_reported_with_its_remedy(register, one_by_one):
    register._base.execute("PRAGMA max_page_count = 20")
    keys = (f"a-rather-long-key-{i:040d}" for i in range(5000))
    remember = register.is_new if one_by_one else register.add
    with pytest.raises(StoreError, match=r"disk is full; free disk space, or set TMPDIR"):
        list(map(remember, keys if one_by_one else [keys]))
