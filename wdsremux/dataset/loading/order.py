"""In which order an epoch visits the samples: a pure function of (seed, epoch), in flat memory.

Samples are shuffled in two stages, as neither needs more memory for more samples. Blocks of 16
neighbours are permuted over the whole split by a Feistel network; then the samples of each window
of that sequence are shuffled among themselves. A window of 16,384 samples draws from 1,024 random
places of the split, so a split that is stored class after class is mixed as well.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Indices: TypeAlias = NDArray[np.int64]

BLOCK_SAMPLES = 16
"""Neighbours that stay together until the window is shuffled: one read of about half a megabyte."""
WINDOW_SAMPLES = 16_384
"""Samples that are shuffled among themselves, if the caller names no other number."""

_ROUNDS = 6
_BLOCKS_KEY, _WINDOW_KEY, _TAIL_KEY = 1, 2, 3


@dataclass(frozen=True, slots=True)
class EpochOrder:
    """The order of all samples of a split in one epoch, before it is divided among ranks."""

    samples: int
    seed: int
    epoch: int
    window: int
    """Samples that are shuffled together; 0 keeps the stored order."""

    def spread(self, positions: Indices) -> Indices:
        """Return the samples at these positions of the sequence of permuted blocks."""
        if not self.window:
            return positions
        blocks, tail = divmod(self.samples, BLOCK_SAMPLES)
        # The last, shorter block gets a place of its own in every epoch.
        tail_at = int(_mixed(self._key(_TAIL_KEY), 0) % (blocks + 1)) * BLOCK_SAMPLES
        is_tail = (positions >= tail_at) & (positions < tail_at + tail)
        full = np.where(positions < tail_at, positions, positions - tail)
        block, offset = np.divmod(np.where(is_tail, 0, full), BLOCK_SAMPLES)
        spread = permuted(block, max(blocks, 1), self._key(_BLOCKS_KEY)) * BLOCK_SAMPLES + offset
        return np.where(is_tail, blocks * BLOCK_SAMPLES + positions - tail_at, spread)

    def shuffled(self, samples: Indices, window: int) -> Indices:
        """Return the samples of one window in their final order."""
        if not self.window:
            return samples
        ranks = _mixed(samples, self._key(_WINDOW_KEY) + window)
        return samples[np.argsort(ranks, kind="stable")]

    def _key(self, use: int) -> int:
        """Return a number that (seed, epoch, use) has for itself."""
        key = int(_mixed(self.seed, use))
        return int(_mixed(key, self.epoch))


def permuted(numbers: Indices, count: int, key: int) -> Indices:
    """Return where a permutation of range(count), chosen by `key`, takes these numbers.

    A Feistel network permutes the next power of four; what leaves the range is sent on until it
    comes back into it (cycle walking), which keeps the map a permutation.
    """
    half_bits = max(1, -(-(count - 1).bit_length() // 2))
    found = numbers.astype(np.uint64)
    outside = np.ones(len(found), dtype=bool)
    while outside.any():
        found[outside] = _feistel(found[outside], half_bits, key)
        outside = found >= count
    return found.astype(np.int64)


def _feistel(numbers: NDArray[np.uint64], half_bits: int, key: int) -> NDArray[np.uint64]:
    mask = np.uint64((1 << half_bits) - 1)
    shift = np.uint64(half_bits)
    left, right = numbers >> shift, numbers & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (_mixed(right, key + turn) & mask)
    return (left << shift) | right


def _mixed(numbers: Any, key: int) -> Any:
    """Return well-mixed 64-bit numbers: the finalizer of SplitMix64 (Steele et al., 2014)."""
    with np.errstate(over="ignore"):
        key_bits = np.uint64(key * 0x9E3779B97F4A7C15 % 2**64)
        found = np.asarray(numbers % 2**64 if isinstance(numbers, int) else numbers)
        mixed = found.astype(np.uint64) + key_bits + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
