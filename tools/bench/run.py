"""Runs the benchmarks and writes what they gave as JSON.

python tools/bench/run.py --corpus out/bench/corpus --out out/bench/results.json
    [--rounds 5] [--workers 2] [--times 2] [--races NAME,NAME] [--only NAME,NAME] [--smoke]

Names are those of races and contestants (contestants.py) and cases (cases.py); all by default.
Contestants run interleaved, in random order within each round, each in a fresh process with a warm
page cache.
"""

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from cases import CASES
from contestants import CONTESTANTS, RACES, Contestant, Race
from limit import build
from machine import ROOT, commit, machine, shown, versions
from measure import Measure, measured, summary
from scene import Scene, rows_of, size_of
from serving import server

SMOKE = ("wdsremux_threads", "wdsremux_processes", "naive_webdataset", "img2dataset_local", "limit")
"""Contestants of a smoke run, beside all cases."""
SMOKE_RACES = ("inet", "function")


@dataclass(slots=True)
class Entry:
    """A contestant and what it gave so far."""

    contestant: Contestant
    status: str
    command: str = ""
    measures: list[Measure] = field(default_factory=list)
    output_bytes: int = 0

    def to_json(self, images: int) -> dict[str, Any]:
        """Return what the results record of it."""
        reported: dict[str, Any] = {
            "name": self.contestant.name,
            "title": self.contestant.title,
            "status": self.status,
            "command": self.command,
        }
        if self.status != "measured":
            return reported
        walls = [each.wall_s for each in self.measures]
        return reported | {
            "wall_s": summary(walls),
            "images_per_s": summary([images / wall for wall in walls], 1),
            "cpu_s_per_1000": summary([1000 * each.cpu_s / images for each in self.measures]),
            "peak_pss_mb": summary([each.peak_pss_bytes / 1e6 for each in self.measures], 1),
            "output_mb": round(self.output_bytes / 1e6, 2),
        }


def run_race(scene: Scene, race: Race, names: Sequence[str], times: int) -> dict[str, Any]:
    """Run the contestants of a race, interleaved."""
    source = scene.dataset(race.kind, times)
    images = rows_of(source)
    library = build(scene.work)
    entries = []
    for contestant in CONTESTANTS:
        if contestant.name not in names or race.name not in contestant.races:
            continue
        missing = contestant.missing(scene)
        if contestant.name == "limit" and library is None:
            missing = "not built: needs cc, libjpeg's headers and an x86-64 CPU with AVX2"
        entries.append(Entry(contestant, missing or "measured"))
    rng = random.Random(0)  # noqa: S311 (no secrets)
    for number in range(scene.rounds):
        for entry in rng.sample(entries, len(entries)):
            if entry.status == "measured":
                _run(scene, race, entry, source, images)
                _say(
                    f"{race.name} round {number + 1}: {entry.contestant.name} {_result_text(entry)}"
                )
    return {
        "name": race.name,
        "title": race.title,
        "kind": race.kind,
        "base": race.base,
        "images": images,
        "dataset": _summary_of(scene, race.kind),
        "results": [entry.to_json(images) for entry in entries],
    }


def _run(scene: Scene, race: Race, entry: Entry, source: Path, images: int) -> None:
    """Run a contestant once."""
    out = scene.scratch()
    with _more_arguments(scene, race, entry.contestant, source) as more:
        command = entry.contestant.command(scene, race, source, out, more)
        entry.command = shown(command, scene.work)
        measure = measured(command, scene.work / "log", scene.environment())
    made = measure.answer.get("images", _samples_in(out))
    if measure.exit_code or made != images:
        why = (measure.stderr.strip().splitlines() or ["no word"])[-1]
        entry.status = f"failed with {measure.exit_code}, {made} of {images} images: {why[:300]}"
    else:
        entry.measures.append(measure)
        entry.output_bytes = size_of(out)
    shutil.rmtree(out, ignore_errors=True)


@contextmanager
def _more_arguments(
    scene: Scene, race: Race, contestant: Contestant, source: Path
) -> Iterator[list[str]]:
    """Provide what a contestant needs beside its command: a server of images, the limit's code."""
    if contestant.name == "limit":
        yield ["--library", str(scene.work / "limit.so"), *race.limit]
    elif contestant.name == "img2dataset_local":
        folder = scene.work / "images"
        names = _exported(source, folder)
        with server("files", str(folder)) as url:
            urls = scene.work / "urls.txt"
            urls.write_text("".join(f"{url}/{name}\n" for name in names))
            yield ["--urls", str(urls)]
    else:
        yield []


def _exported(source: Path, folder: Path) -> list[str]:
    """Write the images of a dataset as files and return their names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = []
    for file in sorted((source / "data").glob("*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(100, columns=["image"]):
            for image in batch.column("image").field("bytes"):
                names.append(f"{len(names):06d}.jpg")
                (folder / names[-1]).write_bytes(image.as_py())
    return names


def _samples_in(out: Path) -> int:
    manifest = out / "index.json"
    if not manifest.is_file():
        return 0
    totals: dict[str, int] = json.loads(manifest.read_text())["totals"]
    return totals["samples"] + totals["rejected"]


def _result_text(entry: Entry) -> str:
    return f"{entry.measures[-1].wall_s:.2f} s" if entry.status == "measured" else entry.status


def _summary_of(scene: Scene, kind: str) -> dict[str, Any]:
    note = scene.corpus / f"{kind}.json"
    if not note.is_file():
        return {}
    reported: dict[str, Any] = json.loads(note.read_text())
    reported.pop("made_of", None)
    return reported


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(
    scene: Scene,
    races: Sequence[str],
    names: Sequence[str],
    times: int,
    save: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Run everything that is named; `save` gets the results so far after each measurement.

    What cannot be measured here, because a dataset or a tool is missing, is listed with the reason.
    """
    results: dict[str, Any] = {
        "format": 1,
        "command": "python tools/bench/run.py " + " ".join(sys.argv[1:]),
        "machine": machine(),
        "versions": versions(scene.peers_python),
        "commit": commit(),
        "workers": scene.workers,
        "rounds": scene.rounds,
        "is_smoke": scene.is_smoke,
        "races": [],
        "cases": [],
        "not_measured": {},
    }
    has_contestants = any(contestant.name in names for contestant in CONTESTANTS)
    for race in RACES if has_contestants else ():
        if race.name not in races:
            continue
        with _or_listed(results, f"race {race.name}"):
            results["races"].append(run_race(scene, race, names, times * race.times))
        save(results)
    for name, case in CASES.items():
        if name in names:
            began = time.perf_counter()
            with _or_listed(results, name):
                results["cases"].append({"name": name, **case(scene)})
            save(results)
            _say(f"{name}: {time.perf_counter() - began:.1f} s")
    return results


@contextmanager
def _or_listed(results: dict[str, Any], name: str) -> Iterator[None]:
    """List what ends with an error message instead of ending the whole run."""
    try:
        yield
    except SystemExit as exc:
        results["not_measured"][name] = str(exc)
        _say(f"{name} was not measured: {exc}")


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(description="run the benchmarks")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--work", type=Path, help="scratch folder; beside --out by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=2, help="each dataset so many times over")
    parser.add_argument("--races", help="names of races, with commas")
    parser.add_argument("--only", help="names of contestants and cases, with commas")
    parser.add_argument("--smoke", action="store_true", help="everything once, as small as it goes")
    parser.add_argument(
        "--peers-python", type=Path, default=ROOT / ".venv-peers" / "bin" / "python"
    )
    given = parser.parse_args()
    known = [*(SMOKE if given.smoke else (c.name for c in CONTESTANTS)), *CASES]
    names = given.only.split(",") if given.only else known
    unknown = set(names) - {*known, *(c.name for c in CONTESTANTS)}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    known_races = [race.name for race in RACES]
    races = given.races.split(",") if given.races else SMOKE_RACES if given.smoke else known_races
    if not set(races) <= set(known_races):
        parser.error(f"--races: known are {', '.join(known_races)}")
    work = (given.work or given.out.parent / "work").absolute()
    rounds, times = (1, 1) if given.smoke else (given.rounds, given.times)
    corpus, peers = given.corpus.absolute(), given.peers_python.absolute()
    scene = Scene(corpus, work, given.workers, rounds, peers, given.smoke)
    given.out.parent.mkdir(parents=True, exist_ok=True)

    def save(results: dict[str, Any]) -> None:
        given.out.write_text(json.dumps(results, indent=1) + "\n")

    results = run(scene, races, names, times, save)
    save(results)
    shutil.rmtree(work, ignore_errors=True)
    if results["not_measured"]:
        raise SystemExit(f"not measured: {', '.join(results['not_measured'])}; see {given.out}")


if __name__ == "__main__":
    main()
