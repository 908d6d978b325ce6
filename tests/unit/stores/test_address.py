import pytest
from support.remote_memory import RemoteMemory

from wdsremux.stores.address import address_of
from wdsremux.stores.folder.store import FolderStore


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        (None, "s3://b/p"),
        ("http://nas:9000", "s3://b/p at http://nas:9000"),
        ("http://me:SECRET@nas:9000/x?sig=SECRET#y", "s3://b/p at http://nas:9000/x"),
    ],
)
def test_an_address_includes_the_server_but_not_the_login(endpoint, address):
    target = RemoteMemory("s3://b/p")
    target.endpoint = endpoint
    assert address_of(target) == address


def test_a_store_with_a_fixed_server_is_identified_by_its_url():
    assert address_of(RemoteMemory("gs://b/p")) == "gs://b/p"


def test_a_folder_has_one_address_for_all_paths_to_it(tmp_path, monkeypatch):
    (tmp_path / "nas").mkdir()
    (tmp_path / "link").symlink_to("nas")
    monkeypatch.chdir(tmp_path)
    there = address_of(FolderStore(tmp_path / "nas"))
    assert there == str(tmp_path / "nas")
    for way in ("nas", "link", "link/../nas"):
        assert address_of(FolderStore(tmp_path / way)) == there
