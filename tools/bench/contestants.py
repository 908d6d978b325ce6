"""The races: what is done to which images; and who takes part: ours, the peers, and the limit."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scene import FOUNDING, HERE, RANDOM_CROP, Scene, step_options

FIND_ABSENT = (
    "import importlib.util as u, sys\nprint(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
)


FUNCTION = f"{HERE / 'batch_function.py'}:flip_and_scale"


@dataclass(frozen=True, slots=True)
class Race:
    """One kind of work over one kind of images."""

    name: str
    title: str
    kind: str
    """Of the images: a dataset of make_corpus.py."""
    options: tuple[str, ...] = tuple(step_options(FOUNDING))
    """What wdsremux is told to do."""
    limit: tuple[str, ...] = ()
    """What the limit is told to do, besides."""
    times: int = 1
    """How many times over the dataset is taken; large images have fewer files."""
    base: str = "founding"
    """The contestant that the table compares with."""


RACES = (
    Race("inet", "founding augmentation, 500 x 375", "inet"),
    Race("hires", "founding augmentation, 3.6 megapixels", "hires", times=2),
    Race("camera", "founding augmentation, 12 megapixels", "camera", times=2),
    Race("thumbnails", "founding augmentation, 256 x 256", "places256"),
    Race(
        "random_crop",
        "random-resized-crop=224 and hflip, 500 x 375",
        "inet",
        options=tuple(step_options(RANDOM_CROP)),
        limit=("--random-crop",),
        base="wdsremux_portable",
    ),
    Race(
        "function",
        "resize=256, center-crop=224, then a batch function, 500 x 375",
        "inet",
        options=(
            *step_options(("resize=256", "center-crop=224")),
            *("--transform", FUNCTION, "--transform-input", "numpy"),
        ),
        base="wdsremux_portable",
    ),
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
    races: tuple[str, ...] = ("inet",)
    """In which it takes part."""

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

    def command(
        self, scene: Scene, race: Race, source: Path, out: Path, more: Sequence[str] = ()
    ) -> list[str]:
        """Return its command line."""
        if not self.script:
            return scene.convert(source, out, *race.options, *self.arguments)
        python = str(scene.peers_python) if self.is_heavy else sys.executable
        ways = ("--src", str(source), "--out", str(out), "--workers", str(scene.workers))
        return [python, str(HERE / self.script), *ways, *self.arguments, *more]


def _peer(name: str, title: str, needs: str, *arguments: str, heavy: bool = True) -> Contestant:
    script = f"peers/{name}.py"
    return Contestant(name, title, tuple(needs.split()), heavy, arguments, script)


EVERY_RACE = tuple(race.name for race in RACES)
FOUNDING_RACES = tuple(race.name for race in RACES if race.base == "founding")

CONTESTANTS = (
    Contestant(
        "wdsremux_threads",
        "wdsremux, threads",
        arguments=("--engine", "threads"),
        races=(*FOUNDING_RACES, "random_crop"),
    ),
    Contestant(
        "wdsremux_processes",
        "wdsremux, processes",
        arguments=("--engine", "processes"),
        races=EVERY_RACE,
    ),
    Contestant(
        "wdsremux_portable",
        "wdsremux, portable kernel",
        arguments=("--kernel", "portable"),
        races=("inet", "hires", "random_crop", "function"),
    ),
    Contestant(
        "founding",
        "founding script",
        ("datasets",),
        script="peers/founding.py",
        races=FOUNDING_RACES,
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
        races=("inet", "hires"),
    ),
    _peer("naive_webdataset", "Pool + webdataset.ShardWriter", "datasets webdataset", heavy=False),
    _peer("mds_writer", "MosaicML MDSWriter + Pool", "datasets streaming torch"),
    _peer("litdata_optimize", "litdata optimize", "litdata"),
    _peer("ray_data", "Ray Data write_webdataset", "ray"),
    _peer("img2dataset_local", "img2dataset (less work)", "img2dataset"),
    Contestant(
        "limit",
        "the limit: fused C",
        ("pyarrow",),
        script="limit.py",
        races=(*FOUNDING_RACES, "random_crop"),
    ),
)
