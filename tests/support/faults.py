"""Breaks the file calls of a run on purpose, from inside its process; the product knows nothing of it.

Every call that changes something below the output folder is a moment: before it the process can be killed, as it
can in the middle of a write. With `power_cut` what was not synced by then is lost as well. Or chosen calls fail.
"""

# ruff: noqa: PTH100, PTH110, PTH112, PTH118, PTH120 (the calls of os are what is wrapped)

import builtins
import errno
import io
import json
import os
import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Failure:
    """Calls that fail: those of an operation on files whose name matches."""

    op: str
    errno: int
    name: str = ""
    """Regular expression, searched in the name below the output folder."""
    skip: int = 0
    """Number of calls that succeed before."""
    times: int | None = None
    """Number of calls that fail; None: all that follow."""
    short: bool = False
    """The first of them, a write, writes half and reports it; that is not an error yet."""
    after: str | None = None
    """Only once a file of this name was published."""

    def note(self, published):
        """Take note of a file that was published."""
        if published == self.after:
            self.after = None

    def strikes(self, op, name):
        """Return whether a call fails, and count it."""
        if self.after is not None:
            return False
        if op != self.op or not re.search(self.name, name) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Faults:
    """What is to happen; made in the test, installed in the process that runs."""

    root: str
    """The output folder."""
    kill_at: int | None = None
    """Number of the moment, from 1."""
    power_cut: bool = False
    """The kill also takes what was not synced."""
    failures: list = field(default_factory=list)
    room: int | None = None
    """Bytes that fit below the output folder: a small disk."""
    trace: str | None = None
    """File that takes a line for each moment."""

    def to_json(self):
        failures = [vars(failure) for failure in self.failures]
        return json.dumps({**vars(self), "failures": failures})

    @classmethod
    def from_json(cls, text):
        known = json.loads(text)
        return cls(**{**known, "failures": [Failure(**each) for each in known["failures"]]})


class FaultyFile(io.FileIO):
    """A file below the output folder."""

    layer = None

    def write(self, data):
        return self.layer.write(self.fileno(), data, super().write)

    def close(self):
        if not self.closed:
            number = self.fileno()
            self.layer.close(number, lambda _number: super(FaultyFile, self).close())


class Layer:
    """The wrappers, in one process."""

    def __init__(self, faults):
        self.faults = faults
        self.root = os.path.realpath(faults.root)
        self.moments = 0
        self.names = {}
        """Open files by number."""
        self.folders = {}
        """Open folders by number."""
        self.is_opening = False
        """Whether a file is being opened by a call that has counted already."""
        self.unsynced = {}
        """Written and not synced: name to size that is safe."""
        self.renamed = []
        """(temporary, final name) of renames whose folder was not synced."""
        self.real = {name: getattr(os, name) for name in WRAPPED}
        self.real_open = io.open

    def install(self):
        """Wrap the calls of this process."""
        for name in WRAPPED:
            setattr(os, name, getattr(self, f"os_{name}"))
        builtins.open = io.open = self.io_open
        FaultyFile.layer = self

    # --- what every call goes through

    def name_of(self, path, dir_fd=None):
        """Return the name below the output folder, "." for the folder; None for a file elsewhere."""
        if isinstance(path, int):
            return self.names.get(path, self.folders.get(path))
        if dir_fd is not None:
            folder = self.folders.get(dir_fd)
            return None if folder is None else os.path.normpath(os.path.join(folder, path))
        path = os.path.abspath(os.fspath(path))
        if path != self.root and not path.startswith(self.root + os.sep):
            return None
        return os.path.relpath(path, self.root)

    def moment(self, op, name, *, half=False):
        """Count a moment; kill or fail as asked."""
        faults = self.faults
        self.moments += 1
        if faults.trace is not None:
            line = f"{self.moments} {op}{' (half)' if half else ''} {name}\n".encode()
            trace = self.real["open"](faults.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            self.real["write"](trace, line)
            self.real["close"](trace)
        if self.moments == faults.kill_at:
            if faults.power_cut:
                self.lose()
            os.kill(os.getpid(), signal.SIGKILL)
        if not half:
            for failure in faults.failures:
                if failure.strikes(op, name) and not failure.short:
                    raise OSError(failure.errno, os.strerror(failure.errno))

    def lose(self):
        """Undo what no sync has made safe, renames first."""
        for temporary, final in reversed(self.renamed):
            self.real["replace"](Path(self.root, final), Path(self.root, temporary))
        for name, size in self.unsynced.items():
            if Path(self.root, name).exists():
                os.truncate(Path(self.root, name), size)

    # --- files

    def io_open(self, file, mode="r", buffering=-1, *args, **kwargs):
        name = None if isinstance(file, int) else self.name_of(file)
        if name is None or not set(mode) & set("wax+"):
            return self.real_open(file, mode, buffering, *args, **kwargs)
        assert (mode, buffering) == ("wb", 0), "a way of writing that the faults do not reach"
        self.moment("open", name)
        self.is_opening = True
        try:
            opened = FaultyFile(file, "w", **kwargs)
        finally:
            self.is_opening = False
        self.names[opened.fileno()] = name
        self.unsynced[name] = 0
        return opened

    def write(self, number, data, real):
        name = self.names.get(number)
        if name is None:
            return real(data)
        self.moment("write", name)
        data = memoryview(data).cast("B")
        half = len(data) // 2
        self.unsynced.setdefault(name, 0)
        if half:
            if self.faults.kill_at == self.moments + 1:
                real(data[:half])
            self.moment("write", name, half=True)
        for failure in self.faults.failures:
            if failure.short and failure.strikes("write", name):
                failure.short = False
                return real(data[:half])
        room = self.room_left()
        if data and room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(data[: min(room, len(data))])

    def room_left(self):
        if self.faults.room is None:
            return sys.maxsize
        used = sum(path.stat().st_size for path in Path(self.root).rglob("*") if path.is_file())
        return max(0, self.faults.room - used)

    def close(self, number, real):
        self.folders.pop(number, None)
        name = self.names.pop(number, None)
        if name is None:
            return real(number)
        try:
            self.moment("close", name)
        finally:
            real(number)  # the kernel lets go of a file even where it reports an error
        return None

    # --- calls of os

    def os_open(self, path, flags, *args, dir_fd=None, **kwargs):
        name = self.name_of(path, dir_fd)
        # Below an open folder, only what may change something is a moment.
        is_moment = dir_fd is None or flags & (os.O_WRONLY | os.O_RDWR)
        if name is None or self.is_opening or flags & os.O_DIRECTORY or not is_moment:
            number = self.real["open"](path, flags, *args, dir_fd=dir_fd, **kwargs)
            if flags & os.O_DIRECTORY and name is not None:
                self.folders[number] = name
            return number
        self.moment("open", name)
        number = self.real["open"](path, flags, *args, dir_fd=dir_fd, **kwargs)
        self.names[number] = name
        return number

    def os_write(self, number, data):
        return self.write(number, data, lambda part: self.real["write"](number, part))

    def os_close(self, number):
        return self.close(number, self.real["close"])

    def os_fsync(self, number):
        name = self.name_of(number)
        if name is None:
            self.real["fsync"](number)
            return
        self.moment("fsync", name)
        self.unsynced.pop(name, None)
        folder = "" if name == "." else name
        self.renamed = [pair for pair in self.renamed if os.path.dirname(pair[1]) != folder]
        # Not done in earnest: it takes most of a small run's time, and only matters to a real power cut.

    def os_ftruncate(self, number, length):
        if number in self.names:
            self.moment("ftruncate", self.names[number])
        return self.real["ftruncate"](number, length)

    def os_replace(self, source, target, **kwargs):
        name = self.name_of(target, kwargs.get("dst_dir_fd"))
        if name is None:
            self.real["replace"](source, target, **kwargs)
            return
        self.moment("replace", name)
        temporary = self.name_of(source, kwargs.get("src_dir_fd"))
        if not os.path.exists(os.path.join(self.root, name)):
            self.renamed.append((temporary, name))
        if temporary in self.unsynced:
            self.unsynced[name] = self.unsynced.pop(temporary)
        self.real["replace"](source, target, **kwargs)
        for failure in self.faults.failures:
            failure.note(name)

    def os_unlink(self, path, **kwargs):
        return self._changed("unlink", path, **kwargs)

    def os_mkdir(self, path, mode=0o777, **kwargs):
        name = self.name_of(path)
        if name is not None and not os.path.isdir(path):
            self.moment("mkdir", name)
        return self.real["mkdir"](path, mode, **kwargs)

    def os_rmdir(self, path, **kwargs):
        return self._changed("rmdir", path, **kwargs)

    def os_scandir(self, path="."):
        if (name := self.name_of(path)) is not None:
            self.moment("scandir", name)
        return self.real["scandir"](path)

    def _changed(self, op, path, **kwargs):
        name = self.name_of(path, kwargs.get("dir_fd"))
        if name is not None:
            self.moment(op, name)
        return self.real[op](path, **kwargs)


WRAPPED = (
    "open", "write", "close", "fsync", "ftruncate", "replace", "unlink", "mkdir", "rmdir", "scandir",
)  # fmt: skip
