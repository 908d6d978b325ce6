"""Does what the kernel asks in a folder; the mount that shows it is served by `fuse_server`."""

import errno
import os
import struct
from pathlib import Path

from support import fuse_protocol as fuse

PLENTY = 1 << 40


class Passthrough:
    """One method for each operation: it takes a request and returns the answer, or raises OSError."""

    def __init__(self, root, open_flags):
        self.root, self.open_flags = os.path.realpath(root), open_flags
        self.nodes = {1: [os.open(root, os.O_PATH), 1]}
        """Descriptor, and how often the kernel looked it up."""
        self.numbers = {}
        """Node by device and inode, which nothing else gets as long as the descriptor is open."""
        self.last = 1
        self.folders = {}
        """What open folders held when they were opened."""
        self.room = None
        """Bytes that fit."""

    def name(self, request):
        """Return the name below the mount that a request is about; of a rename the new one."""
        (node,) = request.fields("Q") if request.op == "rename" else (request.node,)
        name = Path(Path(self._path(node)).readlink(), *request.names()[-1:])
        return str(name.relative_to(self.root))

    def lookup(self, request):
        name, folder = self._named(request)
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
        status = os.fstat(handle)
        key = (status.st_dev, status.st_ino)
        if key in self.numbers:
            os.close(handle)
            self.nodes[self.numbers[key]][1] += 1
        else:
            self.last += 1
            self.numbers[key] = self.last
            self.nodes[self.last] = [handle, 1]
        return fuse.entry_out(self.numbers[key], status)

    def forget(self, request):
        self._forget(request.node, *request.fields("Q"))

    def batch_forget(self, request):
        for node, times in struct.iter_unpack("=QQ", request.body[8:]):
            self._forget(node, times)

    def getattr(self, request):
        return fuse.attr_out(os.fstat(self.nodes[request.node][0]))

    def setattr(self, request):
        """Set size and mode; owners and times are not set here."""
        valid, _, _, size = request.fields("2I2Q")
        if valid & fuse.SET_SIZE:
            os.truncate(self._path(request.node), size)
        if valid & fuse.SET_MODE:
            Path(self._path(request.node)).chmod(*struct.unpack_from("=I", request.body, 68))
        return self.getattr(request)

    def mkdir(self, request):
        name, folder = self._named(request)
        os.mkdir(name, *request.fields("I"), dir_fd=folder)
        return self.lookup(request)

    def unlink(self, request):
        name, folder = self._named(request)
        os.unlink(name, dir_fd=folder)

    def rmdir(self, request):
        name, folder = self._named(request)
        os.rmdir(name, dir_fd=folder)

    def rename(self, request):
        here, there = (self.nodes[node][0] for node in (request.node, *request.fields("Q")))
        os.rename(*request.names(), src_dir_fd=here, dst_dir_fd=there)

    def create(self, request):
        flags, mode = request.fields("2I")
        name, folder = self._named(request)
        handle = os.open(name, (flags & ~os.O_APPEND) | os.O_CREAT, mode, dir_fd=folder)
        return self.lookup(request) + self._opened(handle)

    def open(self, request):
        # Where a write appends the kernel says itself.
        flags = request.fields("I")[0] & ~(os.O_APPEND | os.O_NOFOLLOW)
        return self._opened(os.open(self._path(request.node), flags))

    def read(self, request):
        handle, offset, size = request.fields("QQI")
        return os.pread(handle, size, offset)

    def write(self, request):
        handle, offset, size = request.fields("QQI")
        data = request.body[fuse.WRITE_IN_BYTES :]
        if self.room is not None:
            more = offset + size - os.fstat(handle).st_size
            data = data[: size - max(0, more - self._left())]
            if size and not data:
                raise OSError(errno.ENOSPC, "the room is used up")
        return struct.pack("=II", os.pwrite(handle, data, offset), 0)

    def release(self, request):
        os.close(request.fields("Q")[0])

    def fsync(self, request):
        """Sync nothing: it takes time, and only matters to a real power cut."""

    flush = fsyncdir = fsync

    def opendir(self, request):
        with os.scandir(self._path(request.node)) as entries:
            held = [(e.name, e.inode(), e.stat(follow_symlinks=False).st_mode) for e in entries]
        self.last += 1
        self.folders[self.last] = held
        return struct.pack("=QII", self.last, 0, 0)

    def readdir(self, request):
        number, first, size = request.fields("QQI")
        return fuse.directory_out(self.folders[number], first, size)

    def releasedir(self, request):
        del self.folders[request.fields("Q")[0]]

    def statfs(self, _request):
        if self.room is None:
            return fuse.statfs_out(PLENTY, PLENTY)
        return fuse.statfs_out(self.room, self._left())

    def _named(self, request):
        """Return a name and the descriptor of its folder."""
        return request.names()[-1], self.nodes[request.node][0]

    def _path(self, node):
        """Return a path of a file that holds whatever becomes of its name."""
        return f"/proc/self/fd/{self.nodes[node][0]}"

    def _opened(self, handle):
        return struct.pack("=QII", handle, self.open_flags, 0)

    def _forget(self, node, times):
        self.nodes[node][1] -= times
        if node != 1 and self.nodes[node][1] <= 0:
            handle, _ = self.nodes.pop(node)
            status = os.fstat(handle)
            del self.numbers[status.st_dev, status.st_ino]
            os.close(handle)

    def _left(self):
        """Return how many bytes more fit."""
        sizes = (path.stat().st_size for path in Path(self.root).rglob("*") if path.is_file())
        return max(0, self.room - sum(sizes))
