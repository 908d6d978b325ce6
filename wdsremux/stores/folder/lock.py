"""One run at a time on a folder: a lock file that names its holder, and `flock` where there is one.

The kernel drops `flock` when its holder dies, so a lock of a killed run is taken over at once. On
mounts where `flock` does not reach the other hosts, the file's text does: a lock of another host
is never taken over, since nobody here can tell whether its holder lives. Two hosts that begin in
the same instant on such a mount can both believe that they hold it.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wdsremux.core.errors import StoreError
from wdsremux.core.escaping import escaped
from wdsremux.stores.copying import write_all
from wdsremux.stores.reading.untrusted import open_below

if sys.platform != "win32":
    import fcntl

MAX_SHOWN = 100
"""Characters of what a lock says that are shown."""


@contextlib.contextmanager
def folder_lock(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` while the block runs; its folder must be there.

    Gives whether the holder before died with the lock in its hands, since this machine started.
    Raises StoreError naming host and process of whoever holds it.
    """
    handle, died = _acquired(path)
    try:
        yield died
    finally:
        _release(handle, path)


def _acquired(path: Path) -> tuple[int, bool]:
    while True:
        handle = _opened(path)
        try:
            has_flock = _flock(handle)
            if has_flock is False:
                raise refusal(str(path), _holder(handle))
            if not _is_same_file(handle, path):
                os.close(handle)  # whoever held it removed it in the meantime
                continue
            holder = _holder(handle)
            if holder and not _is_dead(holder, had_flock=has_flock is True):
                raise refusal(str(path), holder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(handle)
            raise
        try:
            _sign(handle)
        except BaseException:
            _release(handle, path)
            raise
        return handle, bool(holder) and holder.get("boot") == _boot_id()


def _opened(path: Path) -> int:
    """Open the lock file, or make it; a link, or what is no file, is not opened."""
    folder = path.parent
    return open_below(folder.parent, f"{folder.name}/{path.name}", os.O_RDWR | os.O_CREAT, 0o644)


def _sign(handle: int) -> None:
    """Write who we are into the lock file."""
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    write_all(handle, json.dumps(this_process()).encode())


def _release(handle: int, path: Path) -> None:
    """Remove and let go of the lock file that we hold.

    A disk that refuses has told why already, or does no harm: a lock of a dead process is taken
    over.
    """
    with contextlib.suppress(OSError):
        # Removed while it is still held: nobody can take a file that is about to go. Unless it was
        # removed by hand, and this is the lock of another run.
        if _is_same_file(handle, path):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.close(handle)


def _flock(handle: int) -> bool | None:
    """Take the kernel's lock and return whether we have it; None for a mount that has none."""
    if sys.platform == "win32":
        return None
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
    """Return what the lock file says; nothing for a new file or one cut off by a crash."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        holder = json.loads(os.read(handle, 4096) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def this_process() -> dict[str, Any]:
    """Return what a lock says of its holder."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot": _boot_id(),
        "started": _start_ticks(os.getpid()),
    }


def _is_dead(holder: dict[str, Any], *, had_flock: bool) -> bool:
    """Return whether the holder ran on this host and is gone.

    Under one kernel its lock speaks for itself: a container that was started again may have another
    host name, and has other process numbers.
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
    """Return whether another process than this one has that number since that moment."""
    if pid <= 0 or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OverflowError:  # no number of a process
        return False
    # The number may have been given to another process since.
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


def refusal(where: str, holder: dict[str, Any]) -> StoreError:
    """Return the error that names the holder of a lock."""
    pid, host = (escaped(holder.get(key)) for key in ("pid", "host"))
    who = f"process {pid[:MAX_SHOWN]} on host '{host[:MAX_SHOWN]}'" if holder else "another run"
    return StoreError(
        f"the output is being written by {who}; wait for it, or, if it is surely gone, "
        f"remove {where!r}"
    )
