"""Measures what loading costs, beside other loaders on the same 256×256 images, and prints JSON.

python tools/bench/loading.py --corpus out/bench/corpus --out out/bench/loading.json
    [--rounds 5] [--workers 2] [--only WAY,WAY]

The images are those of the corpus `inet` after the founding steps, in four copies. Ways run
interleaved, in random order within each round, each in a fresh process with a warm page cache;
litdata and MosaicML streaming only when `make bench-peers` installed them. The result is CPU
seconds per 1,000 images to a batch in the main process, workers included.
"""

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import ROOT, commit, machine, versions
from measure import measured, summary
from scene import FOUNDING

import wdsremux

PEERS = Path(__file__).parent / "peers"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
OWN = (
    "floor",
    "wdsremux_pipeline",
    "wdsremux_load",
    "webdataset_simplejpeg",
    "webdataset_pil",
    "wids_simplejpeg",
)
HEAVY = ("litdata_simplejpeg", "mds_simplejpeg")
COPIES = 4
SHARD_SIZE = "16MB"


def prepared(corpus: Path, src: Path, peers_python: Path) -> None:
    """Make the datasets that are missing: tars, and the formats of other tools."""
    if not (src / "wds" / "index.json").exists():
        arguments: dict[str, Any] = {"max_shard_size": SHARD_SIZE, "progress": "none"}
        copies = src / "copies"
        wdsremux.convert(corpus / "inet", copies, steps=FOUNDING, copies=COPIES, **arguments)
        # Packed again as they are: one split of all copies, which other loaders can read.
        wdsremux.convert(copies, src / "wds", **arguments)
    if peers_python.exists() and not (src / "mds").exists():
        command = [str(peers_python), str(PEERS / "loading_stores.py"), "--src", str(src)]
        done = measured(command, src)
        if done.exit_code:
            raise SystemExit(done.stderr)


def rounds_of(
    commands: Mapping[str, Sequence[str]], rounds: int, scratch: Path
) -> dict[str, list[dict[str, Any]]]:
    """Run every way once in each round; return what each printed."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in commands}
    order = list(commands)
    for number in range(rounds):
        random.Random(number).shuffle(order)  # noqa: S311 (no secret)
        for way in order:
            done = measured(commands[way], scratch)
            if done.exit_code:
                raise SystemExit(f"{way}: {done.stderr[-2000:]}")
            found[way].append(done.answer)
            print(f"round {number + 1} {way}: {done.answer}", file=sys.stderr)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON)
    return parser.parse_args()


def main() -> None:
    """Measure all ways that can run here."""
    given = _arguments()
    src = given.corpus.parent / "loading"
    prepared(given.corpus, src, given.peers_python)
    ways = [*OWN, *(HEAVY if given.peers_python.exists() else ())]
    chosen = [way for way in ways if not given.only or way in given.only.split(",")]
    commands = {
        way: [
            str(given.peers_python) if way in HEAVY else sys.executable,
            *("-W", "ignore", str(PEERS / "loading.py"), way),
            *("--src", str(src), "--workers", str(given.workers)),
        ]
        for way in chosen
    }
    found = rounds_of(commands, given.rounds, src)
    results = {
        way: {
            "cpu_s_per_1000": summary([one["cpu_s_per_1000"] for one in answers]),
            "images_per_s": summary([one["images_per_s"] for one in answers], 1),
            "images": answers[0]["images"],
        }
        for way, answers in found.items()
    }
    reported = {
        "machine": machine(),
        "versions": versions(given.peers_python),
        "commit": commit(),
        "workers": given.workers,
        "results": results,
    }
    given.out.write_text(json.dumps(reported, indent=1) + "\n")
    for way, result in sorted(results.items(), key=lambda one: one[1]["cpu_s_per_1000"]["median"]):
        cost = result["cpu_s_per_1000"]
        print(f"{way:24} {cost['median']:.3f} ({cost['min']:.3f} to {cost['max']:.3f})")


if __name__ == "__main__":
    main()
