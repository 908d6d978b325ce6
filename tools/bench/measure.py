"""Runs a command and measures it: wall, CPU and memory of the whole tree of processes."""

import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SAMPLE_EVERY_S = 0.2
TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True)
class Measure:
    """What a command took."""

    wall_s: float
    cpu_s: float
    """User and system time of the command and of all it started."""
    peak_pss_bytes: int
    """Largest sum of proportional set sizes that was seen."""
    exit_code: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON object in the last line of stdout; empty where there is none."""
        lines = self.stdout.strip().splitlines()
        with contextlib.suppress(ValueError, IndexError):
            found = json.loads(lines[-1])
            if isinstance(found, dict):
                return found
        return {}


class _Sampler(threading.Thread):
    """Looks at a tree of processes now and then; daemons that leave the tree stay in sight."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self._seen: dict[psutil.Process, float] = {}
        self._ended = threading.Event()
        self.peak_pss_bytes = 0

    @property
    def cpu_s(self) -> float:
        """CPU time as far as it was seen: of processes that are gone, up to the last look."""
        return sum(self._seen.values())

    def run(self) -> None:
        """Look until stopped."""
        while not self._ended.wait(SAMPLE_EVERY_S):
            self.look()

    def stop(self) -> None:
        """End the looking."""
        self._ended.set()
        self.join()

    def look(self) -> None:
        """Look once."""
        with contextlib.suppress(psutil.Error):
            for process in (self._root, *self._root.children(recursive=True)):
                self._seen.setdefault(process, 0.0)
        total = 0
        for process in list(self._seen):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                self._seen[process] = times.user + times.system
                info = process.memory_full_info()
                total += getattr(info, "pss", info.uss)
        self.peak_pss_bytes = max(self.peak_pss_bytes, total)

    def end_all(self) -> None:
        """Kill what the command left running."""
        for process in self._seen:
            with contextlib.suppress(psutil.Error):
                process.kill()


def measured(
    command: Sequence[str], scratch: Path, env: Mapping[str, str] | None = None
) -> Measure:
    """Run a command to its end and measure it; a failing one is reported by its exit code."""
    scratch.mkdir(parents=True, exist_ok=True)
    out, err = scratch / "stdout", scratch / "stderr"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        timer = threading.Timer(TIMEOUT_S, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            # Unlike Popen.wait it returns the CPU time, of all descendants that were waited for.
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - began
        finally:
            timer.cancel()
            sampler.stop()
            sampler.end_all()
        process.returncode = os.waitstatus_to_exitcode(status)
    return Measure(
        wall_s=wall_s,
        cpu_s=max(usage.ru_utime + usage.ru_stime, sampler.cpu_s),
        peak_pss_bytes=sampler.peak_pss_bytes,
        exit_code=process.returncode,
        stdout=out.read_text(errors="replace"),
        stderr=err.read_text(errors="replace"),
    )


def interleaved(
    runs: Mapping[str, Callable[[], float]], rounds: int, seed: int = 0
) -> dict[str, list[float]]:
    """Do every run once in each round, in random order, and return what each gave."""
    rng = random.Random(seed)  # noqa: S311 (no secrets)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name in rng.sample(list(runs), len(runs)):
            found[name].append(runs[name]())
    return found


def summary(values: Sequence[float], digits: int = 4) -> dict[str, Any]:
    """Return median, spread and the values themselves."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "values": [round(value, digits) for value in values],
    }
