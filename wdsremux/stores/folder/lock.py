"""One run at a time on a folder: a lock file that names its holder, and `flock` where there is one.

The kernel drops `flock` when its holder dies, so a lock of a killed run is taken over at once. On
mounts where `flock` does not reach the other hosts, the content of the file does: a lock of another
host is taken over only where a lease says that it is abandoned. Two hosts that begin at the same
moment on such a mount can both believe that they hold it, until one checks its lease.
"""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wdsremux.core.errors import LockedError
from wdsremux.core.escaping import escaped
from wdsremux.stores.copying import write_all
from wdsremux.stores.folder.lease import LEASE_FIELD, LEASE_S, FolderLease
from wdsremux.stores.reading.untrusted import open_below

MAX_SHOWN = 100
"""Characters of a field of a lock that are shown."""


@contextlib.contextmanager
def folder_lock(path: Path, lease: FolderLease | None = None) -> Iterator[bool]:
    """Hold the lock file `path` while the block runs; its folder must exist.

    Yields whether the holder before died holding the lock, since this machine started or on
    another host. With a lease, the lock is renewed. Raises LockedError naming host and process of
    the holder.
    """
    handle, died = _acquired(path, lease)
    try:
        with contextlib.nullcontext() if lease is None else lease.renewed():
            yield died
    finally:
        _release(handle, path)


def _acquired(path: Path, lease: FolderLease | None) -> tuple[int, bool]:
    while True:
        handle = _opened(path)
        try:
            has_flock = _flock(handle)
            if has_flock is False:
                raise refusal(str(path), _holder(handle))
            if not _is_same_file(handle, path):
                os.close(handle)  # its holder removed it in the meantime
                continue
            holder = _holder(handle)
            is_dead = _is_dead(holder, had_flock=has_flock is True)
            is_abandoned = not is_dead and lease is not None and lease.is_abandoned(holder)
            if holder and not (is_dead or is_abandoned):
                raise refusal(str(path), holder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(handle)
            raise
        try:
            _sign(handle, {} if lease is None else {LEASE_FIELD: LEASE_S})
        except BaseException:
            _release(handle, path)
            raise
        return handle, is_abandoned or (bool(holder) and holder.get("boot") == _boot_id())


def _opened(path: Path) -> int:
    """Open the lock file, or create it; refuses links and whatever is not a regular file."""
    folder = path.parent
    return open_below(folder.parent, f"{folder.name}/{path.name}", os.O_RDWR | os.O_CREAT, 0o644)


def _sign(handle: int, fields: dict[str, float]) -> None:
    """Write who we are into the lock file."""
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    write_all(handle, json.dumps(this_process() | fields).encode())


def _release(handle: int, path: Path) -> None:
    """Remove and release the lock file that we hold.

    Errors of the disk are ignored: they do no harm, since a lock of a dead process is taken over.
    """
    with contextlib.suppress(OSError):
        # Removed while it is still held: no other run can take a file that is about to
        # be removed. Not when it is the lock of another run: it was removed by hand, or taken over.
        holder = _holder(handle)
        is_ours = not holder or holder.items() >= this_process().items()
        if is_ours and _is_same_file(handle, path):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.close(handle)


def _flock(handle: int) -> bool | None:
    """Take the kernel's lock and return whether we have it; None for a mount without locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_same_file(handle: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    here = os.fstat(handle)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _holder(handle: int) -> dict[str, Any]:
    """Return the content of the lock file; nothing for a new file or one cut off by a crash."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        holder = json.loads(os.read(handle, 4096) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def this_process() -> dict[str, Any]:
    """Return what a lock records of its holder."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot": _boot_id(),
        "started": _start_ticks(os.getpid()),
    }


def _is_dead(holder: dict[str, Any], *, had_flock: bool) -> bool:
    """Return whether the holder ran on this host and is gone.

    Under one kernel the free `flock` is proof enough: a container that was started again may have
    another host name, and has other PIDs.
    """
    boot = _boot_id()
    if had_flock and boot is not None and holder.get("boot") == boot:
        return True
    if holder.get("host") != socket.gethostname():
        return False
    if holder.get("boot") != boot:
        return True
    pid = holder.get("pid")
    return not isinstance(pid, int) or not is_alive(pid, holder.get("started"))


def is_alive(pid: int, started: object) -> bool:
    """Return whether a process other than this one has that PID and start time."""
    if pid <= 0 or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OverflowError:  # not a PID
        return False
    # Another process may have got the PID since.
    return bool(_start_ticks(pid) == started)


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _start_ticks(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot (proc(5), field 22 of stat)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        # The command in parentheses may hold blanks: count from behind it.
        return int(stat.rsplit(")", 1)[1].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def refusal(where: str, holder: dict[str, Any]) -> LockedError:
    """Return the error that names the holder of a lock."""
    pid, host = (escaped(holder.get(key)) for key in ("pid", "host"))
    who = f"process {pid[:MAX_SHOWN]} on host '{host[:MAX_SHOWN]}'" if holder else "another run"
    return LockedError(
        f"the output is being written by {who}; wait for it, or remove {where!r} if you are sure "
        "that it has ended"
    )
