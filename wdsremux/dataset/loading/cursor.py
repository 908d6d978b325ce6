"""Where an iteration is: epoch and batches, in this process and for the workers of a DataLoader."""

import os
import sys
from typing import Any

from wdsremux.core.errors import UsageError


class Cursor:
    """Epoch and next batch. What `share` shares is seen by workers that live on between epochs."""

    def __init__(self, epoch: int) -> None:
        self._next: Any = [epoch, 0]
        """Where the next iteration begins: a list, or a tensor in shared memory."""
        self._delivered = 0
        """Batches of the epoch that came so far."""

    @property
    def epoch(self) -> int:
        """The epoch of this iteration, or of the next one."""
        return int(self._next[0])

    def share(self) -> None:
        """Let workers of a torch DataLoader that are started from now on see later moves."""
        import torch  # noqa: PLC0415 (heavy, and only a DataLoader has workers)

        self._next = torch.tensor([int(one) for one in self._next]).share_memory_()

    def move(self, epoch: int, batches: int) -> None:
        """Let the next iteration begin here."""
        if min(epoch, batches) < 0:
            raise UsageError(
                f"batch {batches} of epoch {epoch} does not exist; both numbers start at 0"
            )
        self._next[0], self._next[1] = epoch, batches
        self._delivered = batches

    def begin(self) -> tuple[int, int]:
        """Return (epoch, first batch) of the iteration that begins."""
        epoch, start = int(self._next[0]), int(self._next[1])
        self._delivered = start
        return epoch, start

    def count(self, workers: int) -> None:
        """Note that a batch was delivered; of several workers, each one delivers every n-th."""
        self._delivered += workers

    def finish(self) -> None:
        """Go to the next epoch, unless this is a worker: its DataLoader decides that."""
        torch = sys.modules.get("torch")
        if torch is None or torch.utils.data.get_worker_info() is None:
            self.move(self.epoch + 1, 0)

    def state(self) -> dict[str, int]:
        """Return what `move` takes to continue here."""
        return {"epoch": self.epoch, "batches": self._delivered}


def ranks(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Return rank and number of ranks: as passed, else of torch.distributed, else of variables.

    Raises UsageError where only one of them is passed.
    """
    if (rank is None) != (world_size is None):
        raise UsageError("pass rank and world_size together, or neither")
    if rank is not None and world_size is not None:
        return rank, world_size
    torch = sys.modules.get("torch")
    distributed = None if torch is None else torch.distributed
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    try:
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError as exc:
        raise UsageError(f"RANK and WORLD_SIZE must be numbers: {exc}") from exc
