"""Where a shard ends: a pure function of the sample sizes.

Short because writer, series and packing share this one rule.
"""

from dataclasses import dataclass

from wdsremux.core.tar import ustar


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no shard may exceed."""

    max_bytes: int
    """Size of the tar file: headers, padding and end blocks included."""
    max_samples: int | None = None

    def fits(self, payload_bytes: int, samples: int, more_bytes: int, more: int = 1) -> bool:
        """Return whether one more sample, or `more`, fit into a shard of this size and number."""
        if self.max_samples is not None and samples + more > self.max_samples:
            return False
        return ustar.file_bytes(payload_bytes + more_bytes) <= self.max_bytes
