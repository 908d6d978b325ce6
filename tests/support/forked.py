"""Runs the command many times, each in a fork of one process that has imported it: 50 ms instead of 600.

The process that forks has one thread only; the runs start their own.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from support.faults import Faults, Layer

DEADLINE_S = 90.0
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
SERVE = "import sys; sys.path.insert(0, sys.argv.pop()); from support.forked import serve; serve()"


@dataclass
class Ended:
    """A finished run."""

    returncode: int
    """Negative for the signal that killed it."""
    stderr: str
    stdout: str = ""

    @property
    def was_killed(self):
        return self.returncode == -signal.SIGKILL


class ForkedCommand:
    """Runs `wdsremux ARGUMENTS` with faults; a context manager."""

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(Path(__file__).parents[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
            text=True,
        )
        return self

    def __exit__(self, *exc):
        self._process.stdin.close()
        self._process.wait(DEADLINE_S)
        self._process.stdout.close()

    def run(self, *arguments, faults=None, env=None, cwd=None):
        """Run the command to its end, with the environment that this process has now and `env`."""
        order = {
            "arguments": [*map(str, arguments)],
            "faults": faults and faults.to_json(),
            "env": {**os.environ, **{name: str(value) for name, value in (env or {}).items()}},
            "cwd": str(cwd or Path.cwd()),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks has died"
        return Ended(**json.loads(answer))


def serve():
    """Answer orders from stdin until it ends."""
    _import_all()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads must not fork"
    # What a run prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        order = json.loads(line)
        answers.write(json.dumps(_forked(order)) + "\n")
        answers.flush()


def _import_all():
    # What a run imports anyway, each of them once.
    import datasets  # noqa: F401
    import yaml  # noqa: F401

    import wdsremux.cli.main
    import wdsremux.converting.convert
    import wdsremux.converting.progress
    import wdsremux.processing.engines.processes
    import wdsremux.processing.engines.threads
    import wdsremux.sources.parquet.hub
    import wdsremux.transforms.steps.catalogue  # noqa: F401


def _forked(order):
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            _run(order, output.fileno(), errors.fileno())
        status = _status_of(child)
        texts = [_text_of(file) for file in (output, errors)]
    returncode = os.waitstatus_to_exitcode(status)
    return {"returncode": returncode, "stdout": texts[0], "stderr": texts[1]}


def _text_of(file):
    file.seek(0)
    return file.read().decode(errors="replace")


def _run(order, output, errors):
    """Run the command in this fork and end it."""
    code = 99
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        if order["faults"]:
            Layer(Faults.from_json(order["faults"])).install()
        from wdsremux.cli.main import main

        code = main(order["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _status_of(child):
    deadline = time.monotonic() + DEADLINE_S
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1]
        time.sleep(0.002)
