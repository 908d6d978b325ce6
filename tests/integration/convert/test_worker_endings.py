"""What a worker process leaves behind when it ends, and what its end is not taken for; real processes."""

import contextlib
import subprocess
import sys
import time

import psutil
import pytest

from wdsremux.core.records import Batch
from wdsremux.processing.engines.base import WorkerDiedError
from wdsremux.processing.engines.processes import ProcessEngine

pytestmark = pytest.mark.integration

DEADLINE_S = 60


def wait_until(condition, text):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, text
        time.sleep(0.01)


def work_with_a_child(folder, end):
    """Return a `make_work` whose work starts a process, notes its number, and ends by `end`."""

    def make_work():
        import os
        import signal
        import subprocess

        from wdsremux.core.records import Batch

        def work(item):
            child = subprocess.Popen(["sleep", "600"])
            with open(os.path.join(folder, str(child.pid)), "w"):  # noqa: PTH118, PTH123
                yield Batch(item, 0, ())
            exec(end, {"os": os, "signal": signal})  # noqa: S102

        return work

    return make_work


def left_behind(folder):
    """Return the processes that the work has noted and that still run."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(path.name))
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os._exit(3)",
    ],
)
def test_processes_started_by_a_crashed_worker_end_with_it(tmp_path, end):
    batches = ProcessEngine(1).map(work_with_a_child(str(tmp_path), end), [0])
    assert next(batches) == Batch(0, 0, ())
    with pytest.raises(WorkerDiedError):
        next(batches)
    assert [*tmp_path.iterdir()]
    wait_until(lambda: not left_behind(tmp_path), "the worker's child lives on")


def test_processes_started_by_an_idle_worker_end_with_it(tmp_path):
    assert [*ProcessEngine(1).map(work_with_a_child(str(tmp_path), ""), [0])]
    assert [*tmp_path.iterdir()]
    wait_until(lambda: not left_behind(tmp_path), "the worker's child lives on")


FEW_DESCRIPTORS = """
import resource
from contextlib import closing

from wdsremux.processing.engines.processes import ProcessEngine
from wdsremux.core.records import Batch, PackedSamples

class Work:
    def __call__(self, item):
        for number in range(40):
            size = 2 << 20
            payload = bytes([number]) * size
            yield Batch(number, 1, (PackedSamples(payload, [number], ["k"], [size], [0], [(1,)]),))

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (30, most))
with closing(ProcessEngine(1).map(Work, [0])) as batches:
    held = [*batches]
for number, batch in enumerate(held):
    assert batch.packed[0].payload == bytes([number]) * (2 << 20)
print(len(held))
"""


def test_a_low_limit_of_descriptors_ends_no_worker():
    done = subprocess.run(
        [sys.executable, "-c", FEW_DESCRIPTORS],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("40\n", "")
