"""Who runs the founding augmentation: ours, the peers, and the limit."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scene import FOUNDING, HERE, Scene, step_options

FIND_ABSENT = (
    "import importlib.util as u, sys\nprint(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
)


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do the work."""

    name: str
    title: str
    """What the table calls it."""
    needs: tuple[str, ...] = ()
    """Modules."""
    is_heavy: bool = False
    """Whether it runs in the environment that `make bench-peers` makes."""
    arguments: tuple[str, ...] = ()
    """Further arguments of its command."""
    script: str = ""
    """Below this folder; ours have none."""
    does_hires: bool = False
    """Whether it also runs over high-resolution images."""

    def missing(self, scene: Scene) -> str | None:
        """Return what is not installed, or None."""
        if self.is_heavy:
            if not scene.peers_python.is_file():
                return "not installed: make bench-peers"
            command = [str(scene.peers_python), "-c", FIND_ABSENT, *self.needs]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            absent = done.stdout.split()
        else:
            absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else None

    def command(self, scene: Scene, source: Path, out: Path, more: Sequence[str] = ()) -> list[str]:
        """Return its command line."""
        if not self.script:
            return scene.convert(source, out, *step_options(FOUNDING), *self.arguments)
        python = str(scene.peers_python) if self.is_heavy else sys.executable
        ways = ("--src", str(source), "--out", str(out), "--workers", str(scene.workers))
        return [python, str(HERE / self.script), *ways, *self.arguments, *more]


def _peer(name: str, title: str, needs: str, *arguments: str, heavy: bool = True) -> Contestant:
    script = f"peers/{name}.py"
    return Contestant(name, title, tuple(needs.split()), heavy, arguments, script)


CONTESTANTS = (
    Contestant(
        "wdsremux_threads", "wdsremux, threads", arguments=("--engine", "threads"), does_hires=True
    ),
    Contestant(
        "wdsremux_processes",
        "wdsremux, processes",
        arguments=("--engine", "processes"),
        does_hires=True,
    ),
    Contestant(
        "founding", "founding script", ("datasets",), script="peers/founding.py", does_hires=True
    ),
    Contestant(
        "founding_decode",
        "founding script as published (decodes in the parent)",
        ("datasets",),
        arguments=("--decode",),
        script="peers/founding.py",
    ),
    Contestant(
        "dataset_map",
        "Dataset.map + save_to_disk",
        ("datasets",),
        script="peers/dataset_map.py",
        does_hires=True,
    ),
    _peer("naive_webdataset", "Pool + webdataset.ShardWriter", "datasets webdataset", heavy=False),
    _peer("mds_writer", "MosaicML MDSWriter + Pool", "datasets streaming torch"),
    _peer("litdata_optimize", "litdata optimize", "litdata"),
    _peer("ray_data", "Ray Data write_webdataset", "ray"),
    _peer("img2dataset_local", "img2dataset (less work)", "img2dataset"),
    Contestant("limit", "the limit: fused C", ("pyarrow",), script="limit.py", does_hires=True),
)
