"""Whether reading a file back reaches the disk, by the type of the file system that holds it.

A client of a network share, or a FUSE daemon, may answer from its cache before the server has a
byte. Dropping the page cache of the kernel does not change that.

Short because it is about one table of the system, which the folder store need not know.
"""

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""proc_pid_mountinfo(5): the mount point is the fifth field, the type follows a lone "-"."""
WRITE_BACK = re.compile(
    r"fuse|fuse\..*|nfs\d?|cifs|smb\d?|smbfs|ncpfs|9p|virtiofs|ceph|lustre|gpfs|beegfs|glusterfs"
    r"|afs|coda|orangefs|pvfs2|davfs|prl_fs|vboxsf|vmhgfs"
)
"""FUSE and network file systems, and those that virtual machines share with their host.

`fuseblk` is a local disk.
"""


def reads_from_disk(folder: Path) -> bool:
    """Return whether bytes read back from a folder come from a disk of this machine.

    False where the system does not say. The folder need not exist yet.
    """
    found = _mounted_type(os.path.realpath(folder))
    return found is not None and WRITE_BACK.fullmatch(found) is None


def _mounted_type(path: str) -> str | None:
    """Return the type of the file system that is mounted nearest above a path."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    found, depth = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, types = before.split(" "), after.split(" ")
        if len(fields) < 5 or not types[0]:
            continue
        point = _unescaped(fields[4])
        # The last of several mounts on one point hides the others.
        if (path == point or path.startswith(f"{point.rstrip('/')}/")) and len(point) >= depth:
            found, depth = types[0], len(point)
    return found


def _unescaped(field: str) -> str:
    """Return a mount point; blanks and backslashes are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
