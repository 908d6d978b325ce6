"""Whether bytes that are read back come from a disk of this machine."""

import pytest

from wdsremux.stores.folder import mounts
from wdsremux.stores.folder.mounts import reads_from_disk

LINE = "36 35 98:0 / {point} rw,noatime shared:1 - {type} source rw"


def mounted(monkeypatch, tmp_path, *pairs):
    lines = [LINE.format(point=point, type=kind) for point, kind in pairs]
    table = tmp_path / "mountinfo"
    table.write_text("\n".join(lines))
    monkeypatch.setattr(mounts, "MOUNTS", table)


@pytest.mark.parametrize(
    ("kind", "is_disk"),
    [
        ("ext4", True), ("btrfs", True), ("tmpfs", True), ("overlay", True), ("fuseblk", True),
        ("nfs", False), ("nfs4", False), ("cifs", False), ("smb3", False), ("fuse", False),
        ("fuse.sshfs", False), ("fuse.rclone", False), ("9p", False), ("virtiofs", False),
    ],
)  # fmt: skip
def test_only_disks_of_this_machine_prove_what_is_read_back(monkeypatch, tmp_path, kind, is_disk):
    mounted(monkeypatch, tmp_path, ("/", "ext4"), (tmp_path, kind))
    assert reads_from_disk(tmp_path / "not" / "there") is is_disk


def test_the_nearest_and_last_mount_decides(monkeypatch, tmp_path):
    nas = tmp_path / "nas"
    pairs = ((nas, "nfs4"), ("/", "xfs"), (tmp_path, "ext4"), (f"{nas}-2", "nfs4"), (nas, "ext4"))
    mounted(monkeypatch, tmp_path, *pairs)
    assert reads_from_disk(nas / "data")
    assert not reads_from_disk(tmp_path / "nas-2")


def test_a_link_is_judged_by_where_it_leads_and_blanks_in_names_are_read(monkeypatch, tmp_path):
    (tmp_path / "my share").mkdir()
    (tmp_path / "link").symlink_to("my share")
    mounted(monkeypatch, tmp_path, ("/", "ext4"), (f"{tmp_path}/my\\040share", "cifs"))
    assert not reads_from_disk(tmp_path / "link")
    assert reads_from_disk(tmp_path / "my")


def test_without_a_table_of_mounts_nothing_is_proven(monkeypatch, tmp_path):
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "absent")
    assert not reads_from_disk(tmp_path)
