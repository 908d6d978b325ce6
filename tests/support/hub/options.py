"""How the fake behaves, and the one error its routes raise."""

from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["cut", "503", "429", "500", "stall", "reset", "short"]


@dataclass
class Options:
    """Behaviour of a HubServer; may be changed while it runs."""

    fault_rate: float = 0.0
    """Probability that a matching request fails."""
    fault_kinds: tuple[FaultKind, ...] = ("cut", "503", "429")
    fault_methods: tuple[str, ...] = ("GET",)
    fault_match: str = r"/resolve/|/cdn/"
    """Regular expression on the path; by default file contents only."""
    fault_max: int | None = None
    """At most this many faults in all."""
    dead_after: int | None = None
    """After that many answers with file contents every connection is reset: the server is stopped."""
    retry_after: int | None = 1
    """Seconds, sent with 429 and 503."""
    stall_s: float = 30.0
    latency_s: float = 0.0
    """Before each answer."""
    bandwidth: int = 0
    """Bytes/s for each response; 0 is no limit."""
    seed: int = 0
    token: str | None = None
    """The one valid bearer token; private and gated repos, and then all writes, need it."""
    user: str = "tester"
    page_size: int = 1000
    """Tree entries a page."""
    redirect: bool = True
    """Serve LFS files from another host behind a signed, short-lived URL, as the Hub does."""
    signed_for_s: float = 3600.0
    """How long a signed URL holds."""
    lfs_threshold: int | None = None
    """Uploads of this many bytes or more use LFS; None: only those of push_to_hub."""
    lfs_chunk: int | None = None
    """Multipart LFS uploads with parts of this size."""
    lfs_min: int = 10 << 20
    """Files of this many bytes or more are served as LFS files whatever their name."""


class HubError(Exception):
    """An answer with an error status."""

    def __init__(self, status, message, code=None, headers=None):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = headers or {}
