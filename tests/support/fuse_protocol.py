"""What the kernel and a file system outside of it say to each other over /dev/fuse.

The structures are those of include/uapi/linux/fuse.h, version 7.31; all numbers are the machine's own.
"""

import ctypes
import errno
import os
import stat
import struct
from dataclasses import dataclass

OPS = {
    1: "lookup", 2: "forget", 3: "getattr", 4: "setattr", 9: "mkdir", 10: "unlink", 11: "rmdir",
    12: "rename", 14: "open", 15: "read", 16: "write", 17: "statfs", 18: "release", 20: "fsync",
    25: "flush", 26: "init", 27: "opendir", 28: "readdir", 29: "releasedir", 30: "fsyncdir",
    35: "create", 36: "interrupt", 42: "batch_forget",
}  # fmt: skip
"""What is not here is refused with ENOSYS; then the kernel does without it."""

NAME_AT = {"lookup": 0, "mkdir": 8, "unlink": 0, "rmdir": 0, "rename": 8, "create": 16}
"""Offsets of names in the body of a request."""

BIG_WRITES = 1 << 5
DIRECT_IO, KEEP_CACHE = 1 << 0, 1 << 1
"""How a file is opened: past the kernel's memory, or with all that it remembers of the file."""
SET_MODE, SET_SIZE = 1 << 0, 1 << 3

MAX_WRITE = 1 << 17
WRITE_IN_BYTES = 40
"""The body of a write before its data."""
MS_NOSUID_NODEV = 2 | 4
MNT_DETACH = 2
_IN_HEADER = struct.Struct("=IIQQIIIHH")


@dataclass(frozen=True)
class Request:
    """What the kernel asks."""

    op: str
    unique: int
    node: int
    body: bytes

    def fields(self, form):
        """Return the numbers at the begin of the body."""
        return struct.unpack_from(f"={form}", self.body)

    def names(self):
        """Return the names in the body, none where it has none."""
        if self.op not in NAME_AT:
            return []
        return [os.fsdecode(name) for name in self.body[NAME_AT[self.op] :].split(b"\0")[:-1]]


class Connection:
    """A mount, as the process sees it that serves it."""

    def __init__(self, mountpoint):
        self.mountpoint = mountpoint
        self.handle = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        options = f"fd={self.handle},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        kind = b"fuse.wdsremux-test"
        arguments = (b"faulty", os.fsencode(mountpoint), kind, MS_NOSUID_NODEV, options.encode())
        if _libc().mount(*arguments):
            number = ctypes.get_errno()
            os.close(self.handle)
            raise OSError(number, f"mount: {os.strerror(number)}")

    def close(self):
        """Unmount; who still waits for an answer gets an error."""
        os.close(self.handle)
        unmount(self.mountpoint)

    def receive(self):
        """Return the next request; None when it was taken back."""
        try:
            data = os.read(self.handle, MAX_WRITE + 8192)
        except OSError as exc:
            if exc.errno in (errno.EAGAIN, errno.EINTR, errno.ENOENT):
                return None
            raise
        _, opcode, unique, node, *_ = _IN_HEADER.unpack_from(data)
        return Request(OPS.get(opcode, f"op {opcode}"), unique, node, data[_IN_HEADER.size :])

    def answer(self, request, payload=b"", error=0):
        """Answer a request: with what it asks for, or with an error."""
        head = struct.pack("=IiQ", 16 + len(payload), -error, request.unique)
        try:
            os.write(self.handle, head + payload)
        except OSError as exc:
            if exc.errno != errno.ENOENT:  # the caller no longer waits for it
                raise

    def answer_init(self, request):
        """Agree on the version and on what is made use of."""
        _, _, max_readahead, _ = request.fields("4I")
        sizes = (16, 12, MAX_WRITE, 1, 0, 0)
        answer = struct.pack("=4I2H2I2H8I", 7, 31, max_readahead, BIG_WRITES, *sizes, *(8 * [0]))
        self.answer(request, answer)


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def unmount(mountpoint):
    """Remove a mount, even if it is in use; no error where there is none."""
    _libc().umount2(os.fsencode(mountpoint), MNT_DETACH)


def entry_out(node, status):
    """Answer with a name; it is looked up again each time."""
    return struct.pack("=4Q2I", node, 0, 0, 0, 0, 0) + _attr(status)


def attr_out(status):
    """Answer with a file; it is looked up again each time."""
    return struct.pack("=Q2I", 0, 0, 0) + _attr(status)


def _attr(status):
    times = [status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns]
    return struct.pack(
        "=6Q10I",
        *(status.st_ino, status.st_size, status.st_blocks),
        *(time // 10**9 for time in times),
        *(time % 10**9 for time in times),
        *(status.st_mode, status.st_nlink, status.st_uid, status.st_gid, status.st_rdev),
        *(4096, 0),
    )


def directory_out(entries, first, max_bytes):
    """Answer with entries of a folder, as many from a number on as fit."""
    reported = b""
    for number, (name, inode, mode) in enumerate(entries[first:], first + 1):
        raw = os.fsencode(name)
        entry = struct.pack("=QQII", inode, number, len(raw), stat.S_IFMT(mode) >> 12) + raw
        entry += bytes(-len(entry) % 8)
        if len(reported) + len(entry) > max_bytes:
            break
        reported += entry
    return reported


def statfs_out(total_bytes, free_bytes, block_bytes=512):
    """Answer with the free space."""
    blocks = [total_bytes // block_bytes, *(2 * [free_bytes // block_bytes]), 10**6, 10**6]
    return struct.pack("=5Q10I", *blocks, block_bytes, 255, block_bytes, *(7 * [0]))
