"""Where a shard ends: a pure function of the sample sizes, decided here and nowhere else."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wdsremux.core.tar import ustar


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no shard may exceed."""

    max_bytes: int
    """Size of the tar file: headers, padding and end blocks included."""
    max_samples: int | None = None

    def fits(self, payload_bytes: int, samples: int, sample_bytes: int) -> bool:
        """Return whether one more sample fits into a shard that holds so much already."""
        if self.max_samples is not None and samples >= self.max_samples:
            return False
        return ustar.file_bytes(payload_bytes + sample_bytes) <= self.max_bytes


def assign(sizes: Iterable[int], bounds: Bounds) -> Iterator[int]:
    """Yield the shard number of each sample, in order; a new shard begins where one does not fit.

    A sample that is larger than the bound stands alone in its shard: whoever writes decides whether
    that is allowed.
    """
    number = payload = samples = 0
    for size in sizes:
        if samples and not bounds.fits(payload, samples, size):
            number += 1
            payload = samples = 0
        payload += size
        samples += 1
        yield number
