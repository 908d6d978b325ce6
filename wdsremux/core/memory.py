"""How much memory this process and its workers may use: the machine's, or their control groups'.

Short because it only reads numbers; `cpus.py` knows where control groups are.
"""

import os
from pathlib import Path

from wdsremux.core.cpus import CGROUP, MEMBERSHIP, control_groups

_FILES = ("memory.max", "memory.limit_in_bytes")
"""Of version 2 and 1 (Documentation/admin-guide/cgroup-v2.rst of Linux)."""


def usable_memory(cgroup: Path = CGROUP, membership: Path = MEMBERSHIP) -> int | None:
    """Return the bytes of memory to plan for; None where the system does not say."""
    limits = [
        limit
        for group in control_groups(cgroup, membership, "memory")
        for name in _FILES
        if (limit := _limit(group / name)) is not None
    ]
    machine = _machine()
    return min([*limits, *([] if machine is None else [machine])], default=None)


def _limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max" means no limit
        return None


def _machine() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return None
