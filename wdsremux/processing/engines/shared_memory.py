"""Memory that a worker process fills and the run maps: finished payloads cross without a copy.

Reading 5 MB from a pipe costs the run more than all it does with them besides hashing. Where Linux
has `memfd_create` (memfd_create(2)) the worker writes a payload into nameless memory and sends its
descriptor; the run opens the same through `/proc/PID/fd` (proc(5)). Nothing has a name, so nothing
is left behind by a kill. Elsewhere payloads go by the pipe.
"""

import contextlib
import errno
import mmap
import os
import sys
import threading
import weakref

from wdsremux.core.errors import TransformError

MIN_BYTES = 1 << 20
"""Smaller payloads go by the pipe. Each that is mapped takes a descriptor at both ends: so there
are never more of them than the run's window has megabytes.
"""
_SPARE_HANDLES = 64
"""Descriptors that are left to all else: to sources, shards, servers and the user's function."""
_OWN_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What says nothing of the worker."""
_PROBE = b"shared"


class SharedMemoryWriter:
    """The worker's side: holds what it wrote until the run is done with it. For several threads."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._lock = threading.Lock()

    def put(self, data: bytes | bytearray | memoryview) -> int | None:
        """Copy data into memory of its own and return its descriptor; None where there is none."""
        if sys.platform != "linux":
            return None
        try:
            handle = os.memfd_create("wdsremux")
        except OSError:
            return None
        if _is_scarce(handle):
            os.close(handle)
            return None
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
        except OSError:  # a limit on file sizes holds for such memory too
            os.close(handle)
            return None
        with self._lock:
            self._held.add(handle)
        return handle

    def release(self, handle: int) -> None:
        """Let go of what the run uses no more; harmless for a descriptor that was never given."""
        with self._lock:
            if handle not in self._held:
                return
            self._held.remove(handle)
        os.close(handle)

    def probe(self) -> int | None:
        """Put down what `SharedMemoryReader.finds` looks for."""
        return self.put(_PROBE)


class SharedMemoryReader:
    """The run's side: maps what one worker put down, and knows which of it is used no more.

    The worker lets go last: to free the memory would cost the run more than to have mapped it.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._living: list[tuple[weakref.ref[mmap.mmap], int]] = []
        self._copied: list[int] = []

    def take(self, handle: int, length: int) -> memoryview:
        """Return what a living worker put down, read-only; unmapped with the last view of it.

        It is copied where descriptors are scarce. Raises OSError when the worker is gone, or may
        not be looked into, TransformError when this process has no descriptor left.
        """
        opened = self._opened(handle)
        try:
            memory = None if _is_scarce(opened) else _mapped(opened, length)
            if memory is None:
                copy = _copied(opened, length)
                self._copied.append(handle)
                return copy
        finally:
            os.close(opened)
        self._living.append((weakref.ref(memory), handle))
        return memoryview(memory)

    def _opened(self, handle: int) -> int:
        try:
            return os.open(f"/proc/{self._pid}/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            if exc.errno not in _OWN_LIMITS:
                raise
            raise TransformError(
                f"cannot take what a worker process has made: {exc.strerror}; raise `ulimit -n`, "
                "or run with fewer workers or with threads"
            ) from exc

    def unused(self) -> list[int]:
        """Return, once each, the descriptors of what is mapped no more."""
        dead = [handle for memory, handle in self._living if memory() is None]
        self._living = [each for each in self._living if each[1] not in dead]
        copied, self._copied = self._copied, []
        return dead + copied

    def finds(self, probe: int | None) -> bool:
        """Return whether the worker's memory can be mapped: some containers hide `/proc`."""
        if probe is None:
            return False
        with contextlib.suppress(OSError):
            return self.take(probe, len(_PROBE)) == _PROBE
        return False


def _mapped(opened: int, length: int) -> mmap.mmap | None:
    """Map shared memory; None where the system has no descriptor or no room for one map more."""
    try:
        return mmap.mmap(opened, length, access=mmap.ACCESS_READ)
    except ValueError as exc:
        raise OSError(str(exc)) from exc
    except OSError as exc:
        if exc.errno in _OWN_LIMITS:
            return None
        raise


def _copied(opened: int, length: int) -> memoryview:
    data = bytearray(length)
    with memoryview(data) as whole, os.fdopen(opened, "rb", buffering=0, closefd=False) as file:
        got = 0
        while count := file.readinto(whole[got:]):
            got += count
    if got < length:
        raise OSError(f"only {got} of {length} bytes are there")
    return memoryview(data).toreadonly()


def _is_scarce(handle: int) -> bool:
    """Return whether a descriptor is one of the last: the lowest free number is always given."""
    import resource  # noqa: PLC0415 (not on Windows)

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit != resource.RLIM_INFINITY and handle >= limit - _SPARE_HANDLES
