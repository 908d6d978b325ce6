"""A disk of a few MB, to be filled."""

import os
import subprocess
import sys
from pathlib import Path

from support.faults import Faults


class SmallDisk:
    """A tmpfs, where we may mount one; elsewhere faults that stand for one. A context manager.

    In CI nothing may stand for it: there it is mounted, or the test fails.
    """

    def __init__(self, folder, size_bytes):
        self.folder, self.size_bytes = Path(folder), size_bytes
        self.is_real = False

    def __enter__(self):
        self.folder.mkdir()
        problem = self._mounted(f"size={self.size_bytes}")
        self.is_real = problem is None
        assert self.is_real or not os.environ.get("CI"), f"cannot mount a tmpfs: {problem}"
        return self

    def __exit__(self, *exc):
        if self.is_real:
            subprocess.run(["umount", self.folder], check=True)

    def grow(self, size_bytes):
        """Make more room."""
        self.size_bytes = size_bytes
        self._remount(f"size={size_bytes}")

    def make_read_only(self):
        """Take no more writes."""
        self._remount("ro")

    def make_writable(self):
        """Take writes again."""
        self._remount("rw")

    def faults(self, out):
        """Return what stands for the bounds of the disk where it is not real."""
        return None if self.is_real else Faults(str(out), room=self.size_bytes)

    def _remount(self, options):
        if self.is_real:
            problem = self._mounted(f"remount,{options}")
            assert problem is None, problem

    def _mounted(self, options):
        """Return why mounting failed, None when it did not."""
        if sys.platform != "linux":
            return "this is no Linux"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else done.stderr.strip()
