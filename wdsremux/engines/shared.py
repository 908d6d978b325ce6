"""Memory that a worker process fills and the run maps: finished payloads cross without a copy.

Reading 5 MB from a pipe costs the run more than all it does with them besides hashing. Where Linux
has `memfd_create` (memfd_create(2)) the worker writes a payload into nameless memory and sends its
descriptor; the run opens the same through `/proc/PID/fd` (proc(5)). Nothing has a name, so nothing
is left behind by a kill. Elsewhere payloads go by the pipe.
"""

import contextlib
import mmap
import os
import sys
import threading
import weakref

MIN_BYTES = 1 << 20
"""Smaller payloads go by the pipe. Each that is mapped takes a descriptor at both ends: so there
are never more of them than the run's window has megabytes.
"""
_PROBE = b"shared"


class Shelf:
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
        """Put down what `Maps.finds` looks for."""
        return self.put(_PROBE)


class Maps:
    """The run's side: maps what one worker put down, and knows which of it is used no more.

    The worker lets go last: to free the memory would cost the run more than to have mapped it.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._living: list[tuple[weakref.ref[mmap.mmap], int]] = []

    def take(self, handle: int, length: int) -> memoryview:
        """Return what a living worker put down, read-only; unmapped with the last view of it.

        Raises OSError when the worker is gone, or may not be looked into.
        """
        opened = os.open(f"/proc/{self._pid}/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            memory = mmap.mmap(opened, length, access=mmap.ACCESS_READ)
        except ValueError as exc:
            raise OSError(str(exc)) from exc
        finally:
            os.close(opened)
        self._living.append((weakref.ref(memory), handle))
        return memoryview(memory)

    def unused(self) -> list[int]:
        """Return, once each, the descriptors of what is mapped no more."""
        dead = [handle for memory, handle in self._living if memory() is None]
        self._living = [each for each in self._living if each[1] not in dead]
        return dead

    def finds(self, probe: int | None) -> bool:
        """Return whether the worker's memory can be mapped: some containers hide `/proc`."""
        if probe is None:
            return False
        with contextlib.suppress(OSError):
            return self.take(probe, len(_PROBE)) == _PROBE
        return False
