"""Which row a worker process is at: eight bytes of shared memory, so that also its death shows it.

Short because the run and its worker processes share it.
"""

import mmap
import os
import struct
import tempfile

_FORMAT = "<q"
_NO_ROW = -1


class RowMark:
    """The mark of one worker process; the worker writes it, the run reads it."""

    def __init__(self, handle: int | None = None) -> None:
        """Make a mark, or open that of the run by its descriptor, which is closed."""
        self.handle = _new_handle() if handle is None else handle
        self._memory = mmap.mmap(self.handle, struct.calcsize(_FORMAT))
        if handle is not None:
            os.close(handle)

    @property
    def row(self) -> int | None:
        """Position of the row that is being decoded or transformed alone; None for no such row."""
        row: int = struct.unpack(_FORMAT, self._memory[:])[0]
        return None if row == _NO_ROW else row

    def set(self, row: int | None) -> None:
        """Mark a row; None for reading and for several rows at once."""
        struct.pack_into(_FORMAT, self._memory, 0, _NO_ROW if row is None else row)

    def close(self) -> None:
        """Release what the run holds; harmless when called twice."""
        if not self._memory.closed:
            self._memory.close()
            os.close(self.handle)


def _new_handle() -> int:
    """Return a descriptor of a few bytes without a name."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("wdsremux-row")
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    os.ftruncate(handle, struct.calcsize(_FORMAT))
    os.pwrite(handle, struct.pack(_FORMAT, _NO_ROW), 0)
    return handle
