"""A real mount whose server fails, as that of a NAS may: every error goes the whole way through the kernel."""

import errno
import os
import re
import signal

import pytest
from support.demo_conversion import SHARD, reported
from support.faulty_mount import Fault
from support.running import Running
from support.runs import published, tree, wdsremux
from support.store_conformance import StoreConformance
from support.verified import copied

from wdsremux.stores.folder.store import FolderStore

pytestmark = pytest.mark.integration


class TestOnAMount(StoreConformance):
    @pytest.fixture
    def target(self, mount, request):
        return FolderStore(mount.path / request.node.name)


class TestOnAMountThatTakesAndGivesLittleAtOnce(StoreConformance):
    @pytest.fixture
    def target(self, mount, request):
        mount.order(Fault("read|write", at_most=1000), Fault("write", r"lock$", at_most=7))
        return FolderStore(mount.path / "little" / request.node.name)


@pytest.fixture
def out(mount, request):
    return mount.place(request.node.name)


ONE_SHARD = r"\.wdsremux/validation-000000\.msgpack"
CHANGES = "open-write|create|write|setattr|mkdir|rmdir|unlink|rename"


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        (Fault("write", SHARD, errno=errno.EIO), "check the disk or the mount"),
        (Fault("write", SHARD, errno=errno.ENOSPC, byte=20_000), "free some space"),
        (Fault("write", r"validation-000000\.msgpack", errno=errno.ENOSPC), "free some space"),
        (Fault("flush", SHARD, errno=errno.EDQUOT), "free some space"),
        (Fault("flush", "index.json", errno=errno.EDQUOT), "free some space"),
        (Fault("fsync", SHARD, errno=errno.EIO), "check the disk or the mount"),
        (Fault("fsyncdir", errno=errno.EIO, after=SHARD), "check the disk or the mount"),
        (Fault("rename", SHARD, errno=errno.EIO), "check the disk or the mount"),
        (Fault("rename", "index.json", errno=errno.ESTALE), "check the disk or the mount"),
        (Fault("create", SHARD, errno=errno.EROFS), "make the folder writable"),
    ],
)
def test_a_refusing_mount_is_one_error_and_the_same_command_resumes(
    conversion, mount, out, fault, remedy
):
    with mount.failing(fault):
        text = reported(conversion.run(out))
    assert re.search(rf"cannot write '{out}/[^']*': {os.strerror(fault.errno)}", text)
    assert text.endswith(f"{remedy}, then run the same command again: finished shards are kept")
    conversion.assert_only_whole_files(out)
    conversion.assert_finishes(out)


def test_a_full_mount_is_reported_in_bytes_and_the_run_resumes(conversion, mount, out):
    sizes = [path.stat().st_size for path in sorted(conversion.reference.glob("*.tar"))]
    mount.order(room=mount.used() + sizes[0] + sizes[1])
    text = reported(conversion.run(out))
    assert f"cannot write '{out}/validation-000001.tar': No space left on device" in text
    needed, free = map(int, re.findall(r"\d+(?= bytes,| are free)", text))
    assert sizes[0] > needed - free > 0
    assert text.endswith(
        "free some space, then run the same command again: finished shards are kept"
    )
    conversion.assert_only_whole_files(out)
    assert (out / "validation-000000.tar").exists()
    mount.order()
    conversion.assert_finishes(out)


def test_a_mount_that_becomes_read_only_keeps_the_finished_shards(conversion, mount, out):
    with mount.failing(Fault(CHANGES, errno=errno.EROFS, after=ONE_SHARD)):
        text = reported(conversion.run(out))
        assert "Read-only file system; make the folder writable" in text
        # The lock is all that could not be taken away.
        assert set(tree(out)) - set(published(out)) == {".wdsremux/lock"}
        assert "Read-only file system" in reported(conversion.run(out))
    assert published(out).items() < conversion.whole.items()
    assert "validation-000000.tar" in published(out)
    conversion.assert_finishes(out)


def test_short_writes_and_short_reads_change_no_byte(conversion, mount, out):
    with mount.failing(Fault("read|write", at_most=777)):
        conversion.assert_finishes(out)
        (out / "index.json").unlink()
        (out / "validation-000002.tar").unlink()
        conversion.assert_finishes(out)


def test_the_installed_command_resumes_after_a_full_quota(conversion, mount, out):
    with mount.failing(Fault("flush", SHARD, errno=errno.EDQUOT)):
        reported(wdsremux("convert", "demo:", out, *conversion.arguments))
    conversion.assert_only_whole_files(out)
    done = wdsremux("convert", "demo:", out, *conversion.arguments)
    assert done.returncode == 0, done.stderr
    assert tree(out) == conversion.whole


@pytest.mark.parametrize("op", ["write", "fsync", "rename"])
def test_a_run_that_waits_for_the_mount_can_be_stopped_and_leaves_nothing_behind(
    conversion, mount, out, op
):
    mount.order(Fault(op, SHARD, stalls=True, times=1))
    with Running("convert", "demo:", out, *conversion.arguments) as running:
        running.wait_for(lambda: mount.waiting, "a call that waits")
        running.send(signal.SIGINT)
        code, errors = running.ended(20)
    assert code == 130
    assert " with:\nwdsremux convert" in errors
    assert mount.waiting == []
    conversion.assert_only_whole_files(out)
    conversion.assert_finishes(out)


@pytest.mark.parametrize(
    "sick",
    [
        Fault("lookup", errno=errno.EIO),
        Fault("getattr|lookup", errno=errno.ESTALE, after=ONE_SHARD),
        Fault("getattr", errno=errno.ESTALE, after=ONE_SHARD),
        Fault(".*", errno=errno.EIO, after=ONE_SHARD),
    ],
)
def test_a_mount_that_cannot_be_listed_is_one_error(conversion, mount, out, sick):
    with mount.failing(sick):
        text = reported(conversion.run(out))
    assert re.search(rf"^wdsremux: cannot \w+ '{out}[^']*': {os.strerror(sick.errno)}", text)
    conversion.assert_finishes(out)


@pytest.mark.parametrize("name", ["recipe.json", "validation-000000.msgpack", "README.md"])
def test_an_unreadable_file_stops_the_run_which_resumes(conversion, mount, out, name):
    copied(conversion.reference, out)
    (out / "index.json").unlink()
    with mount.failing(Fault("read", re.escape(name), errno=errno.EIO)):
        text = reported(conversion.run(out))
    assert re.search(rf"cannot read '{out}/.*{name}': Input/output error; check the disk", text)
    conversion.assert_finishes(out)
