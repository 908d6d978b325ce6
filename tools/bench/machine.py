"""What a result was measured on: machine, versions, commit."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "wdsremux",
    "pillow",
    "simplejpeg",
    "opencv-python-headless",
    "cykooz-resizer",
    "numpy",
    "pyarrow",
    "datasets",
    "webdataset",
    "mosaicml-streaming",
    "litdata",
    "ray",
    "img2dataset",
)
LIST_VERSIONS = (
    "import importlib.metadata as m, json, sys\n"
    "found = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
    "print(json.dumps({n: found[n] for n in sys.argv[1:] if n in found}))"
)


def machine() -> dict[str, Any]:
    """Return what can be said of the machine without naming it."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def versions(peers_python: Path) -> dict[str, Any]:
    """Return the versions here, and in the environment of the heavy peers."""
    here = {}
    for name in PACKAGES:
        try:
            here[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    there = {}
    if peers_python.is_file():
        command = [str(peers_python), "-c", LIST_VERSIONS, *PACKAGES]
        there = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {"here": here, "heavy peers": there}


def commit() -> str:
    """Return the commit, with a + where the tree differs from it."""
    arguments = ("git", "-C", str(ROOT))
    head = subprocess.run(
        [*arguments, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    changes = subprocess.run(
        [*arguments, "status", "--porcelain", "--untracked-files=no"],
        capture_output=True,
        text=True,
        check=False,
    )
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def shown(command: list[str], scratch: Path) -> str:
    """Return a command line without this machine's folders."""
    text = " ".join(command)
    for folder, name in ((str(scratch), "WORK"), (sys.executable, "python"), (str(ROOT), ".")):
        text = text.replace(folder, name)
    return text
