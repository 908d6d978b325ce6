"""The head of a dataset: what is known of it before its first shard, and what decides its bytes."""

import hashlib
from collections.abc import Mapping
from typing import Any

from wdsremux.jsonvalues import json_bytes

DECIDING_FIELDS = ("format", "recipe", "source", "versions", "series")
"""Fields of a head that decide the bytes, in the order in which a difference is told."""


def fingerprint_of(head: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of all that decides the bytes, hexadecimal.

    A field that a damaged head lacks counts as null.
    """
    deciding = {name: head.get(name) for name in DECIDING_FIELDS}
    return hashlib.sha256(json_bytes(deciding)).hexdigest()
