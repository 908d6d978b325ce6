"""Converts damaged images and tars, and checks that none ends, stalls or falsifies a run.

    python tools/fuzz/records.py images --count 10000 --engine threads
    python tools/fuzz/records.py images --count 10000 --engine processes
    python tools/fuzz/records.py tars --count 2000

`images`: every image is one of all formats with flipped bits, overwritten numbers, gaps, doubled
parts or a cut. The run must end with exit code 0, every row must be a sample or a reject, `verify
--depth pixels` must be clean, and rows that were not damaged must be samples.
`tars`: every tar is damaged in the same ways; convert, verify and index must end with an exit code
of the documented ones and without a traceback. Prints one line of JSON with the figures.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from wdsremux.cli.main import main as main_of_command

COMMAND = [sys.executable, "-P", "-m", "wdsremux"]
FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    "jpeg": ("JPEG", {}),
    "progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "raw tiff": ("TIFF", {}),
    "jp2": ("JPEG2000", {}),
    "avif": ("AVIF", {"speed": 10}),
}
WHOLE_EVERY = 10
"""One image in this number is not damaged."""
DOCUMENTED = (0, 1, 2, 3, 4, 5, 6, 7)
TIMEOUT_S = 120
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def damaged(data: bytes, chance: np.random.Generator) -> bytes:
    """Return data with one to four damages."""
    found = bytearray(data)
    for _ in range(int(chance.integers(1, 5))):
        at, kind = int(chance.integers(0, max(1, len(found)))), chance.integers(6)
        length = int(chance.integers(1, 64))
        if kind == 0:
            found[at : at + 1] = bytes([found[at] ^ 1 << int(chance.integers(8))]) if found else b""
        elif kind == 1:
            number = NUMBERS[chance.integers(len(NUMBERS))]
            found[at : at + 4] = number.to_bytes(4, "big" if chance.integers(2) else "little")
        elif kind == 2:
            del found[at : at + length]
        elif kind == 3:
            found[at:at] = found[at : at + length]
        elif kind == 4:
            found[at : at + length] = chance.bytes(length)
        else:
            del found[max(1, at) :]
    return bytes(found)


def originals(chance: np.random.Generator) -> list[bytes]:
    """Return small images of all formats and several modes."""
    made = []
    for name, options in FORMATS.values():
        for mode in ("RGB", "L", "RGBA", "P", "CMYK"):
            pixels = chance.integers(0, 255, (40, 56, 3), np.uint8)
            pixels[:, :28] //= 8
            file = io.BytesIO()
            try:
                Image.fromarray(pixels).convert(mode).save(file, name, **options)
            except (OSError, ValueError):  # a mode that the format does not have
                continue
            made.append(file.getvalue())
    return made


def rows(count: int, seed: int) -> Iterator[tuple[bytes, bool]]:
    """Yield images, and whether each is whole."""
    chance = np.random.default_rng(seed)
    whole = originals(chance)
    for number in range(count):
        data = whole[number % len(whole)]
        is_whole = number // len(whole) % WHOLE_EVERY == 0
        yield (data if is_whole else damaged(data, chance)), is_whole


class FuzzError(Exception):
    """What must not happen has happened."""


def demand(is_right: bool, what: str) -> None:  # noqa: FBT001 (a condition, as for assert)
    """Raise unless a condition holds."""
    if not is_right:
        raise FuzzError(what)


def ended(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as users do."""
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check_images(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Convert images, and return the figures."""
    made = [*rows(options.count, options.seed)]
    source, out = folder / "images.parquet", folder / "out"
    table = pa.table({"image": [data for data, _ in made], "whole": [whole for _, whole in made]})
    pq.write_table(table, source, row_group_size=200)
    words = ("--workers", options.workers, "--engine", options.engine, "--max-errors", "100%")
    began = time.monotonic()
    steps = [word for step in options.step for word in ("--step", step)]
    done = ended("convert", source, out, *words, "--progress", "none", *steps)
    seconds = time.monotonic() - began
    demand(done.returncode == 0, done.stderr[-2000:])
    totals = json.loads((out / "index.json").read_text())["totals"]
    demand(totals["samples"] + totals["rejected"] == options.count, str(totals))
    lines = (out / ".wdsremux" / "rejected.jsonl").read_text().splitlines()
    rejects = [json.loads(line) for line in lines]
    lost = [each for each in rejects if made[each["position"]][1]]
    demand(not lost, f"whole images were rejected: {lost[:3]}")
    verified = ended("verify", out, "--depth", "pixels")
    demand(verified.returncode == 0, verified.stdout[-2000:])
    deaths = sum("worker died" in each["reason"] for each in rejects)
    return {
        "images": options.count,
        "engine": options.engine,
        "samples": totals["samples"],
        "rejected": totals["rejected"],
        "deaths": deaths,
        "seconds": round(seconds, 1),
        "crashed": "crashed" in done.stderr,
    }


def whole_tar(chance: np.random.Generator) -> bytes:
    """Return a tar of twelve samples."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number, data in enumerate(originals(chance)[:12]):
            for name, content in (("jpg", data), ("json", b'{"label": 1}')):
                info = tarfile.TarInfo(f"{number:03d}.{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def forked(*words: object) -> tuple[int, str]:
    """Run a command in a fork of this process; return its exit code and what it printed."""
    with TemporaryFile("w+") as log:
        child = os.fork()
        if not child:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            signal.alarm(TIMEOUT_S)
            code = 99
            try:
                code = main_of_command([*map(str, words)])
            except SystemExit as exc:
                code = int(exc.code or 0)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        log.seek(0)
        return code, log.read()


def warm_up(tar: bytes, folder: Path, quiet: tuple[str, ...]) -> None:
    """Import here what the forks need."""
    (folder / "tars").mkdir(parents=True)
    (folder / "tars" / "x-000000.tar").write_bytes(tar)
    with contextlib.redirect_stdout(io.StringIO()):
        main_of_command(["convert", str(folder / "tars"), str(folder / "out"), *quiet])
        main_of_command(["verify", str(folder / "tars")])
        main_of_command(["index", str(folder / "tars")])


def check_tars(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run convert, verify and index on damaged tars, and return the figures."""
    chance, codes = np.random.default_rng(options.seed), Counter[str]()
    whole, place, out = whole_tar(chance), folder / "tars", folder / "out"
    quiet = ("--progress", "none", "--max-errors", "100%", "--workers", "0")
    failures = 0
    warm_up(whole, folder / "whole", quiet)
    for number in range(options.count):
        for each in (place, out):
            shutil.rmtree(each, ignore_errors=True)
        place.mkdir()
        data = damaged(whole, chance)
        (place / "x-000000.tar").write_bytes(data)
        for words in (("convert", place, out, *quiet), ("verify", place), ("index", place)):
            code, text = forked(*words)
            codes[f"{words[0]} {code}"] += 1
            if code not in DOCUMENTED or "Traceback" in text:
                failures += 1
                kept = Path(options.keep, f"{number}.tar")
                kept.write_bytes(data)
                print(f"{words[0]} of {kept}: {code} {text[-800:]}", file=sys.stderr, flush=True)
    return {"tars": options.count, "codes": dict(sorted(codes.items())), "failures": failures}


def main() -> int:
    """Run one of the checks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("images", "tars"))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--engine", choices=("threads", "processes"), default="threads")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--step", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default=".", help="folder for inputs that failed")
    options = parser.parse_args()
    check = check_images if options.what == "images" else check_tars
    with TemporaryDirectory(prefix="wdsremux-fuzz-") as folder:
        figures = check(options, Path(folder))
    print(json.dumps(figures))
    return 1 if figures.get("failures") else 0


if __name__ == "__main__":
    sys.exit(main())
