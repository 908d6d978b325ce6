"""Where and how a benchmark runs: its datasets, its scratch folder, its environment."""

import itertools
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

FOUNDING = ("center-crop-scale=0.7,1.0", "resize=256x256", "hflip", "sharpen")
RANDOM_CROP = ("random-resized-crop=224", "hflip")
GEOMETRY = FOUNDING[:-1]
HERE = Path(__file__).parent
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Scene:
    """What all benchmarks of one run share."""

    corpus: Path
    """Holds a folder for each kind of dataset."""
    work: Path
    """Scratch."""
    workers: int
    rounds: int
    peers_python: Path
    """Interpreter of the environment with the heavy peers."""
    is_smoke: bool = False

    def dataset(self, kind: str, times: int = 1) -> Path:
        """Return a dataset, its files linked that many times and read into the page cache."""
        source = self.corpus / kind
        files = sorted((source / "data").glob("*.parquet"))
        if not files:
            raise SystemExit(f"{source} holds no dataset; run tools/bench/make_corpus.py")
        folder = source
        if times > 1:
            folder = self.work / "datasets" / f"{kind}-{times}"
            (folder / "data").mkdir(parents=True, exist_ok=True)
            count = len(files) * times
            for i, file in enumerate(itertools.chain.from_iterable([files] * times)):
                with suppress(FileExistsError):
                    _link(file, folder / "data" / f"train-{i:05d}-of-{count:05d}.parquet")
        for file in files:
            file.read_bytes()
        return folder

    def scratch(self) -> Path:
        """Return a name for a folder that is not there yet."""
        folder = self.work / "out" / f"{next(_numbers):05d}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder

    def environment(self) -> Mapping[str, str]:
        """Return what every command runs with: no network, no telemetry."""
        return {
            "HF_HOME": str(self.work / "hf"),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_ALBUMENTATIONS_UPDATE": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "WANDB_MODE": "disabled",
        }

    def convert(self, source: str | Path, out: Path, *arguments: str) -> list[str]:
        """Return the command that converts with our workers."""
        options = ("--workers", str(self.workers), "--progress", "none", *arguments)
        return wdsremux("convert", str(source), str(out), *options)


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except FileExistsError:
        raise
    except OSError:  # another file system
        shutil.copyfile(file, to)


def wdsremux(*arguments: str) -> list[str]:
    """Return a command line of wdsremux."""
    return [sys.executable, "-m", "wdsremux", *arguments]


def step_options(steps: Sequence[str]) -> list[str]:
    """Return steps as flags."""
    return [word for step in steps for word in ("--step", step)]


def rows_of(folder: Path) -> int:
    """Return the rows of a dataset."""
    return sum(pq.read_metadata(file).num_rows for file in (folder / "data").glob("*.parquet"))


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, but for caches."""
    for path in folder.rglob("*"):
        if path.is_file() and "cache" not in path.relative_to(folder).parts:
            yield path


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder."""
    return sum(path.stat().st_size for path in files_below(folder))
