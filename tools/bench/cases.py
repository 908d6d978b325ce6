"""Single claims, each with what it compares: copies, passthrough, verify, start-up, memory ...

A case returns a title, what was wanted, and figures: summaries by name, each over all rounds.
"""

import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import Measure, interleaved, measured, summary
from scene import FOUNDING, HERE, Scene, rows_of, size_of, step_options, wdsremux
from serving import server

LATENCY_S = 0.03
BANDWIDTH = 20_000_000
MEMORY_TIMES = 20


def _checked(scene: Scene, command: Sequence[str], env: Mapping[str, str] | None = None) -> Measure:
    """Run a command that must not fail."""
    measure = measured(command, scene.work / "log", {**scene.environment(), **(env or {})})
    if measure.exit_code:
        raise SystemExit(f"{' '.join(command)} failed:\n{measure.stderr[-2000:]}")
    return measure


def _walls(scene: Scene, commands: Mapping[str, Callable[[Path], list[str]]]) -> dict[str, Any]:
    """Time commands that write to a folder each, interleaved; the folders are removed."""

    def timed(make: Callable[[Path], list[str]]) -> Callable[[], float]:
        def run() -> float:
            out = scene.scratch()
            wall_s = _checked(scene, make(out)).wall_s
            shutil.rmtree(out, ignore_errors=True)
            return wall_s

        return run

    runs = {name: timed(make) for name, make in commands.items()}
    return {f"{n} (s)": summary(v) for n, v in interleaved(runs, scene.rounds).items()}


def _result(
    title: str, wanted: str, value: float, figures: dict[str, Any], note: str = ""
) -> dict[str, Any]:
    return {
        "title": title,
        "wanted": wanted,
        "value": round(value, 4),
        "figures": figures,
        "note": note,
    }


def _ratio(figures: Mapping[str, Any], above: str, below: str) -> float:
    return float(figures[f"{above} (s)"]["median"] / figures[f"{below} (s)"]["median"])


def copies(scene: Scene) -> dict[str, Any]:
    """Time four copies against one."""
    source, steps = scene.dataset("inet"), step_options(FOUNDING)
    figures = _walls(
        scene,
        {
            "1 copy": lambda out: scene.convert(source, out, *steps),
            "4 copies": lambda out: scene.convert(source, out, *steps, "--copies", "4"),
        },
    )
    value = _ratio(figures, "4 copies", "1 copy")
    return _result("--copies 4, in times of one copy", "<= 2.0", value, figures)


def passthrough(scene: Scene) -> dict[str, Any]:
    """Time packing without a step against what copies, hashes and syncs the same bytes."""
    source = scene.dataset("inet", 1 if scene.is_smoke else 8)
    copying = 'cp -rL "$1" "$2" && sha256sum "$2"/* && sync "$2"/*'
    figures = _walls(
        scene,
        {
            "convert --check structure": lambda out: scene.convert(
                source, out, "--check", "structure"
            ),
            "convert": lambda out: scene.convert(source, out),
            "cp, sha256sum, sync": lambda out: [
                "sh", "-c", copying, "sh", str(source / "data"), str(out),
            ],
        },
    )  # fmt: skip
    note = f"{size_of(source) / 1e6:.0f} MB; without --check structure each image is decoded, too"
    value = _ratio(figures, "cp, sha256sum, sync", "convert --check structure")
    title = "passthrough, share of the speed of cp, sha256sum and sync"
    return _result(title, ">= 0.8", value, figures, note)


def verify(scene: Scene) -> dict[str, Any]:
    """Time verify --depth bytes against sha256sum with as many processes."""
    source, out = scene.dataset("inet", 1 if scene.is_smoke else 8), scene.scratch()
    shard_mb = max(1, round(size_of(source) / 16e6))
    _checked(scene, scene.convert(source, out, "--max-shard-size", f"{shard_mb}MB"))
    shards = sorted(str(path) for path in out.glob("*.tar"))
    workers = str(scene.workers)
    arguments = ("--depth", "bytes", "--workers", workers)
    in_parallel = 'n=$1; shift; printf "%s\\n" "$@" | xargs -P "$n" -n 1 sha256sum'
    figures = _walls(
        scene,
        {
            "verify": lambda _out: wdsremux("verify", str(out), *arguments),
            "sha256sum": lambda _out: ["sh", "-c", in_parallel, "sh", workers, *shards],
        },
    )
    note = f"{size_of(out) / 1e6:.0f} MB in {len(shards)} shards"
    shutil.rmtree(out)
    value = _ratio(figures, "sha256sum", "verify")
    return _result("verify, share of the speed of sha256sum", ">= 0.8", value, figures, note)


def start_up(scene: Scene) -> dict[str, Any]:
    """Time --help against a bare interpreter."""
    figures = _walls(
        scene,
        {
            "wdsremux --help": lambda _out: wdsremux("--help"),
            "python -c pass": lambda _out: [sys.executable, "-c", "pass"],
        },
    )
    bare, ours = (figures[f"{name} (s)"] for name in ("python -c pass", "wdsremux --help"))
    value = 1000 * (ours["median"] - bare["median"])
    return _result("wdsremux --help, ms over a bare interpreter", "<= 150", value, figures)


def _answers(scene: Scene, script: str, *arguments: str) -> list[dict[str, Any]]:
    """Run one of our scripts in each round and return what it answers."""
    command = [sys.executable, str(HERE / script), *arguments]
    found = []
    for _ in range(scene.rounds):
        out = scene.scratch()
        found.append(_checked(scene, [*command, "--out", str(out)]).answer)
        shutil.rmtree(out, ignore_errors=True)
    return found


def first_image(scene: Scene) -> dict[str, Any]:
    """Time from the start of the process to the first batch of one image."""
    found = _answers(scene, "first_image.py", "--src", str(scene.dataset("inet")))
    seconds = [each["seconds"] for each in found]
    heavy = sorted({name for each in found for name in each["heavy_modules"]})
    note = f"imported: {', '.join(heavy) or 'neither datasets, pandas nor torch'}"
    figures = {"first image (s)": summary(seconds)}
    value = statistics.median(seconds)
    return _result("first image of local Parquet, s after start", "<= 0.8", value, figures, note)


def hand_over(scene: Scene) -> dict[str, Any]:
    """Measure the main process's CPU when workers only return ready samples."""
    samples = "1024" if scene.is_smoke else "40000"
    source = str(scene.dataset("inet"))
    figures, medians = {}, {}
    for engine in ("processes", "threads"):
        arguments = ("--engine", engine, "--workers", str(scene.workers), "--samples", samples)
        found = _answers(scene, "hand_over.py", "--src", source, *arguments)
        for name in ("beyond_us", "hash_and_write_us"):
            figures[f"{engine}: {name}"] = summary([each[name] for each in found], 2)
        medians[engine] = statistics.median(each["beyond_us"] for each in found)
    note = "with processes reading the pipes is in it; with threads the workers' own time is not"
    title = "main process, µs of CPU a sample beyond hashing and writing"
    return _result(title, "<= 15", medians["processes"], figures, note)


def hub(scene: Scene) -> dict[str, Any]:
    """Time reading a Hub dataset of some latency against `datasets` streaming."""
    root = scene.work / "hub"
    repo = root / "bench" / "inet"
    if not repo.is_dir():
        repo.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(scene.dataset("inet"), repo)
    rows = rows_of(repo)
    arguments = ("--latency-s", str(LATENCY_S), "--bandwidth", str(BANDWIDTH))
    streaming = [sys.executable, str(HERE / "hub_rows.py"), "bench/inet"]

    def timed(make: Callable[[Path], list[str]], url: str) -> Callable[[], float]:
        def run() -> float:
            out = scene.scratch()
            env = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
            wall_s = _checked(scene, make(out), env).wall_s
            shutil.rmtree(out, ignore_errors=True)
            return rows / wall_s

        return run

    with server("hub", str(root), *arguments) as url:
        runs = {
            "wdsremux convert (rows/s)": timed(lambda out: scene.convert("bench/inet", out), url),
            "datasets streaming (rows/s)": timed(lambda _out: streaming, url),
        }
        found = {name: summary(v, 1) for name, v in interleaved(runs, scene.rounds).items()}
    ours, theirs = (each["median"] for each in found.values())
    note = "whole commands, images as stored; ours also packs them; the server shares the cores"
    title = "Hub at 30 ms and 20 MB/s a connection, in rows/s of datasets streaming"
    return _result(title, ">= 3", ours / theirs, found, note)


def quality(scene: Scene) -> dict[str, Any]:
    """Compare our resampling with Pillow's of the full decode."""
    figures, worst = {}, 1e9
    images = "12" if scene.is_smoke else "250"
    for kind in ("inet", "hires"):
        command = [sys.executable, str(HERE / "quality.py"), "--src", str(scene.dataset(kind))]
        found = _checked(scene, [*command, "--images", images]).answer
        for name in ("psnr_db", "ssim"):
            figures[f"{kind}: {name}"] = summary(found[name]) | {
                "mean": round(statistics.fmean(found[name]), 4)
            }
        worst = min(worst, figures[f"{kind}: psnr_db"]["mean"])
    title = "mean PSNR against Pillow BICUBIC of the full decode, dB (the worse dataset)"
    return _result(title, ">= 45", worst, figures, "SSIM wanted: >= 0.995; steps without a filter")


def memory(scene: Scene) -> dict[str, Any]:
    """Measure peak memory of both engines, with N rows and with 20 times as many."""
    figures: dict[str, Any] = {}
    for engine in ("threads",) if scene.is_smoke else ("threads", "processes"):
        for times in (1, 2 if scene.is_smoke else MEMORY_TIMES):
            source = scene.dataset("inet", times)
            arguments = (*step_options(FOUNDING), "--engine", engine)
            peaks = []
            for _ in range(scene.rounds if times == 1 else 1):
                out = scene.scratch()
                measure = _checked(scene, scene.convert(source, out, *arguments))
                peaks.append(measure.peak_pss_bytes / 1e6)
                shutil.rmtree(out, ignore_errors=True)
            figures[f"{engine}, rows x {times} (MB)"] = summary(peaks, 1)
    value = figures["threads, rows x 1 (MB)"]["median"]
    note = "processes wanted: <= 450; the same at 20 times the rows"
    return _result("peak memory with threads, MB (sum of PSS)", "<= 350", value, figures, note)


CASES: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "copies": copies,
    "passthrough": passthrough,
    "verify": verify,
    "start_up": start_up,
    "first_image": first_image,
    "hand_over": hand_over,
    "hub": hub,
    "quality": quality,
    "memory": memory,
}
"""Every case by its name."""
