"""How many CPUs this process may use, by its affinity and the quotas of its control groups.

Short because `convert`, `verify`, `repair` and `doctor` share it, and `memory.py` its groups.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cpus(cgroup: Path = CGROUP, membership: Path = MEMBERSHIP) -> int:
    """Return the number of CPUs to plan for, at least 1."""
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    cpus = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    groups = control_groups(cgroup, membership, "cpu")
    quotas = [quota for group in groups if (quota := _quota(group))]
    return max(1, min([cpus, *map(math.ceil, quotas)]))


def control_groups(cgroup: Path, membership: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the Linux control groups that limit this process, versions 2 and 1.

    Each group is limited by all its parents. In a container its own group is usually the root.
    """
    for name in _own_groups(membership, ""):
        yield cgroup / name
    for name in _own_groups(membership, controller):
        yield cgroup / controller / name


def _own_groups(membership: Path, controller: str) -> list[str]:
    """Return the group of this process and its parents, relative to the root, which is last.

    Lines are NUMBER:CONTROLLERS:PATH, without controllers in version 2 (cgroups(7)).
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except (OSError, ValueError):
        lines = []
    paths = [line[2] for line in lines if len(line) == 3 and controller in line[1].split(",")]
    own = PurePosixPath(paths[0].lstrip("/")) if paths and ".." not in paths[0] else PurePosixPath()
    return [str(group) for group in (own, *own.parents)]


def _quota(group: Path) -> float | None:
    """Return the CPUs that a group grants; None without a limit."""
    try:
        limit, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        granted_us, period_us = int(limit), int(period)
    except ValueError:  # "max" means no limit; anything unknown is treated alike
        return None
    return granted_us / period_us if granted_us > 0 and period_us > 0 else None
