"""The highest resident size of a command and of all processes that it starts."""

import os
import subprocess
from pathlib import Path

import psutil

LOOK_EVERY_S = 0.02


def peak_bytes(command, env=None, timeout=240):
    """Run a command to its end and return the sum of the peaks of its processes.

    A process's own peak, as the system keeps it, never falls: to look often is only needed to see
    each process once before its end.
    """
    peaks = {}
    with subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        left_s = timeout
        while True:
            _look(process.pid, peaks)
            try:
                process.wait(LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                left_s -= LOOK_EVERY_S
                if left_s > 0:
                    continue
                process.kill()
                raise
            break
        errors = process.stderr.read()
    assert process.returncode == 0, errors
    return sum(peaks.values())


def _look(pid, peaks):
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.Error:
        return
    for process in processes:
        try:
            seen = _peak_of(process)
        except (psutil.Error, OSError):
            continue
        peaks[process.pid] = max(seen, peaks.get(process.pid, 0))


def _peak_of(process):
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return process.memory_info().rss
