"""A folder on a mount whose server fails on order, as the server of a NAS may."""

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from support import fuse_protocol
from support.fuse_server import Fault

__all__ = ["Fault", "FaultyMount"]

SERVE = "import sys; sys.path.insert(0, sys.argv[1]); from support.fuse_server import serve; serve(*sys.argv[2:])"
DEADLINE_S = 20.0


class FaultyMount:
    """A FUSE file system over a folder beside it; a context manager. Linux and root only.

    Elsewhere the test is skipped; in CI it is mounted, or the test fails.
    """

    def __init__(self, folder, *, remembers=False):
        """With `remembers` the kernel returns what it has in memory until it is asked to drop it.

        Without, each read and write reaches the server as it is, and a short one its caller.
        """
        self.path, self.behind = Path(folder, "mount"), Path(folder, "behind")
        self._flags = fuse_protocol.KEEP_CACHE if remembers else fuse_protocol.DIRECT_IO

    def __enter__(self):
        self.path.mkdir(parents=True)
        self.behind.mkdir()
        problem = self._mounted()
        if problem is not None:
            assert not os.environ.get("CI"), f"cannot mount by FUSE: {problem}"
            pytest.skip(f"cannot mount by FUSE: {problem}")
        return self

    def __exit__(self, *exc):
        try:
            self._process.stdin.close()
            # An error here is one of the server's own, not one that was ordered.
            assert self._process.wait(DEADLINE_S) == 0
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            fuse_protocol.unmount(self.path)

    def order(self, *faults, room=None):
        """Fail like this from now on, and release waiting calls; `room` is how many bytes fit."""
        self._request({"faults": [asdict(fault) for fault in faults], "room": room})

    def place(self, arguments):
        """Return a path that no other test has."""
        return self.path / re.sub(r"\W+", "-", arguments)

    def used(self):
        """Return how many bytes lie here."""
        return sum(path.stat().st_size for path in self.behind.rglob("*") if path.is_file())

    @contextlib.contextmanager
    def failing(self, *faults):
        """Fail so while the block runs; something must."""
        self.order(*faults)
        try:
            yield
            assert self.struck, f"nothing asked for what fails: {faults}"
        finally:
            self.order()

    @property
    def struck(self):
        """How many calls have gone wrong since the last order."""
        return self._request(None)["struck"]

    @property
    def waiting(self):
        """What waits: operations and names."""
        return self._request(None)["waiting"]

    def _request(self, order):
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self):
        answer = self._process.stdout.readline()
        assert answer, "the server of the mount has died"
        return json.loads(answer)

    def _mounted(self):
        """Return why mounting failed, None when it did not."""
        if sys.platform != "linux":
            return "this is no Linux"
        tests = Path(__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, tests, self.behind, self.path, str(self._flags)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        problem = self._answer()["problem"]
        if problem is not None:
            self.__exit__()
        return problem
