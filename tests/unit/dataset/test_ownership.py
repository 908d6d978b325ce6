"""Whose dataset a folder holds, as the messages for a wrong folder need it."""

import pytest

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.dataset.reader import open_output


@pytest.mark.parametrize("name", ["sockets.target.wants", "remote.target", "a.tar.txt", "tar"])
def test_a_name_that_only_contains_tar_is_not_a_shard(name, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CorruptDataError, match="contains no dataset"):
        open_output(tmp_path)


@pytest.mark.parametrize("name", ["a.tar", "A.TAR", "a.tar.gz", "a.tar.zst", "a.tgz"])
def test_a_tar_without_an_index_is_a_shard(name, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CorruptDataError, match="contains shards without an index"):
        open_output(tmp_path)


def test_an_empty_location_is_not_the_current_folder():
    with pytest.raises(UsageError, match="OUT is empty"):
        open_output("")
