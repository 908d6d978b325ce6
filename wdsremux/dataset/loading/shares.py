"""Which part of an epoch one rank reads, and how that part is cut into batches."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from wdsremux.core.errors import UsageError
from wdsremux.dataset.loading.order import EpochOrder, Indices

Remainder = Literal["keep", "pad", "drop"]
"""What happens when the samples do not divide by ranks and batch size:

* `keep`: every sample comes exactly once. Ranks differ by at most one sample, and all of them have
  the same number of batches, so that a data-parallel run does not hang.
* `pad`: every rank gets the same number of samples; up to `world_size - 1` come twice.
* `drop`: every rank gets the same number of full batches; the rest is left out of this epoch.
"""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of one rank, as positions of the epoch's sequence."""

    first: int
    """Position in the epoch's sequence at which the part begins."""
    samples: int
    batches: int
    batch_size: int

    def bounds(self, batch: int) -> tuple[int, int]:
        """Return where a batch starts and stops, counted from the start of the part.

        Where a rank has one sample less than others, its last batches are smaller instead of
        fewer.
        """
        return self._start(batch), self._start(batch + 1)

    def _start(self, batch: int) -> int:
        return min(batch * self.batch_size, self.samples - (self.batches - batch))


def share_of(
    samples: int, *, rank: int, world_size: int, batch_size: int, remainder: Remainder
) -> Share:
    """Return the part of one rank. Raises UsageError where the ranks cannot all have a batch."""
    if remainder not in get_args(Remainder):
        known = ", ".join(map(repr, get_args(Remainder)))
        raise UsageError(f"remainder={remainder!r} is not one of {known}")
    if not 0 <= rank < world_size:
        raise UsageError(f"rank={rank} is not in range({world_size}), the world_size")
    if batch_size < 1:
        raise UsageError(f"batch_size={batch_size} must be at least 1, or None for single samples")
    if samples and samples < world_size and remainder != "pad":
        raise UsageError(
            f"{samples} samples cannot be divided among {world_size} ranks; pass remainder='pad'"
        )
    if remainder == "keep":
        first, stop = (samples * at // world_size for at in (rank, rank + 1))
        most = -(-samples // world_size)
        # With one sample per batch, ranks can only have as many batches as samples.
        batches = stop - first if batch_size == 1 else -(-most // batch_size)
        return Share(first, stop - first, batches, batch_size)
    if remainder == "pad":
        each = -(-samples // world_size)
        return Share(rank * each, each, -(-each // batch_size), batch_size)
    each = samples // world_size
    return Share(rank * each, each // batch_size * batch_size, each // batch_size, batch_size)


class RankOrder:
    """The batches of one rank in one epoch, as indices of samples in the split.

    Holds one window at a time; batches may be asked for in any order, ascending is fastest.
    """

    def __init__(self, order: EpochOrder, share: Share) -> None:
        self.share = share
        self._order = order
        self._window = -1
        self._samples = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return self.share.batches

    def batch(self, number: int) -> Indices:
        """Return the samples of one batch."""
        start, stop = self.share.bounds(number)
        length = self._order.window or max(self.share.samples, 1)
        if not self._order.window:
            return self._at(start, stop)
        parts = []
        while start < stop:
            window, offset = divmod(start, length)
            part = self._window_samples(window)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _window_samples(self, window: int) -> Indices:
        if window != self._window:
            start = window * self._order.window
            stop = min(start + self._order.window, self.share.samples)
            self._samples = self._order.shuffled(self._at(start, stop), window)
            self._window = window
        return self._samples

    def _at(self, start: int, stop: int) -> Indices:
        positions = np.arange(self.share.first + start, self.share.first + stop, dtype=np.int64)
        # Only a padded part reaches beyond the last sample: it starts over.
        return self._order.spread(positions % max(self._order.samples, 1))
