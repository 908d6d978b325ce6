"""Where a shard ends: a pure function of the rows and the sizes of their samples.

Short because writer, series and packing share this one rule.
"""

from dataclasses import dataclass

from wdsremux.core.option_values import MB
from wdsremux.core.tar import ustar

MIN_BYTES = 2 * MB
"""A shard does not end for its number of rows before it has this size: part of the format."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no shard may exceed."""

    max_bytes: int
    """Size of the tar file: headers, padding and end blocks included."""
    max_samples: int | None = None
    rows: int | None = None
    """A shard of at least `MIN_BYTES` ends once it covers this number of rows."""

    def fits(self, payload_bytes: int, samples: int, more_bytes: int, more: int = 1) -> bool:
        """Return whether one more sample, or `more`, fit into a shard of this size and number."""
        if self.max_samples is not None and samples + more > self.max_samples:
            return False
        return ustar.file_bytes(payload_bytes + more_bytes) <= self.max_bytes

    def is_full(self, payload_bytes: int, rows: int) -> bool:
        """Return whether a shard that covers this number of rows ends with them."""
        return self.rows is not None and rows >= self.rows and payload_bytes >= MIN_BYTES
