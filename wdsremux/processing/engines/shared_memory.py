"""Memory that a worker process fills and the run maps: payloads cross without a copy.

Reading 5 MB from a pipe costs the run more than all its other work on them except hashing. On Linux
the worker writes a payload into anonymous memory (memfd_create(2)) and sends its descriptor; the
run opens it through `/proc/PID/fd` (proc(5)). The memory has no name, so a kill leaves nothing
behind. Elsewhere payloads go through the pipe.
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
"""Smaller payloads go through the pipe. Each mapped payload takes a descriptor in both processes;
with this size there are at most as many as the run's window has megabytes.
"""
_SPARE_HANDLES = 64
"""Descriptors reserved for sources, shards, connections and the user's function."""
_OWN_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that are not caused by the worker."""
_PROBE = b"shared"


class SharedMemoryWriter:
    """The worker's side: keeps payloads until the run releases them. Thread-safe."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._lock = threading.Lock()

    def put(self, data: bytes | bytearray | memoryview) -> int | None:
        """Copy data into new shared memory and return its descriptor; None if there is none."""
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
        except OSError:  # a limit on file sizes applies to such memory
            os.close(handle)
            return None
        with self._lock:
            self._held.add(handle)
        return handle

    def release(self, handle: int) -> None:
        """Free what the run no longer uses; ignores unknown descriptors."""
        with self._lock:
            if handle not in self._held:
                return
            self._held.remove(handle)
        os.close(handle)

    def probe(self) -> int | None:
        """Write the data that `SharedMemoryReader.finds` looks for."""
        return self.put(_PROBE)


class SharedMemoryReader:
    """The run's side: maps payloads of one worker, and knows which are no longer used.

    The worker frees the memory: that would cost the run more time than mapping it.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._living: list[tuple[weakref.ref[mmap.mmap], int]] = []
        self._copied: list[int] = []

    def take(self, handle: int, length: int) -> memoryview:
        """Return a payload of a living worker, read-only; unmapped with its last view.

        It is copied if descriptors are scarce. Raises OSError if the worker is gone or may not be
        inspected, TransformError if this process has no descriptor left.
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
                f"cannot read the result of a worker process: {exc.strerror}; raise `ulimit -n`, "
                "or use fewer --workers"
            ) from exc

    def unused(self) -> list[int]:
        """Return, once each, the descriptors of what is no longer mapped."""
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
    """Map shared memory; None if the system has no descriptor or no room for another map."""
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
        raise OSError(f"shared memory holds {got} of {length} bytes")
    return memoryview(data).toreadonly()


def _is_scarce(handle: int) -> bool:
    """Return whether a descriptor is one of the last: new ones get the lowest free number."""
    import resource  # noqa: PLC0415 (used on Linux only)

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit != resource.RLIM_INFINITY and handle >= limit - _SPARE_HANDLES
