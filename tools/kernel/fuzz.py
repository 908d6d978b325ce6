"""Builds the kernel with sanitizers and runs it over mutated JPEGs.

python tools/kernel/fuzz.py --out out/fuzz --runs 1000000     libFuzzer; needs clang
python tools/kernel/fuzz.py --out out/fuzz --smoke             seeds and their mutations; any cc

Both check that all vector versions return equal bytes. A failure keeps the input that shows it.
"""

import argparse
import io
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "wdsremux" / "transforms" / "kernel"
REQUEST_BYTES = 16
"""What `fuzz.c` reads before the JPEG."""
SANITIZERS = "address,undefined"


def seeds() -> Iterator[bytes]:
    """Yield small JPEGs of every kind, each with a request in front of it."""
    draw = random.Random(0)  # noqa: S311 (the same seeds each time)
    for number, (width, height) in enumerate([(8, 8), (17, 33), (64, 48), (131, 70), (1, 1)]):
        y, x = np.mgrid[0:height, 0:width]
        pixels = np.stack([x * 3 % 256, y * 5 % 256, (x + y) * 2 % 256], axis=-1).astype(np.uint8)
        image = Image.fromarray(pixels)
        for options in (
            {"subsampling": "4:2:0"},
            {"subsampling": "4:2:2"},
            {"subsampling": "4:4:4"},
            {"subsampling": "4:2:0", "progressive": True},
            {"subsampling": "4:2:0", "restart_marker_blocks": 2},
            {"mode": "L"},
            {"mode": "CMYK"},
        ):
            file = io.BytesIO()
            arguments = dict(options)
            image.convert(str(arguments.pop("mode", "RGB"))).save(
                file, "JPEG", quality=40 + 10 * number, **arguments
            )
            yield draw.randbytes(REQUEST_BYTES) + file.getvalue()


def mutations(seed: bytes, draw: random.Random, count: int) -> Iterator[bytes]:
    """Yield copies of a seed with bytes changed, cut out or doubled."""
    for _ in range(count):
        changed = bytearray(seed)
        changed[:REQUEST_BYTES] = draw.randbytes(REQUEST_BYTES)
        for _ in range(draw.randrange(4)):
            at = draw.randrange(REQUEST_BYTES, len(changed))
            kind = draw.randrange(4)
            if kind == 0:
                changed[at] = draw.randrange(256)
            elif kind == 1:
                changed[at] ^= 1 << draw.randrange(8)
            elif kind == 2:
                del changed[at : at + draw.randrange(1, 40)]
            else:
                changed[at:at] = changed[at : at + draw.randrange(1, 40)]
            if len(changed) <= REQUEST_BYTES:
                break
        yield bytes(changed)


def built(out: Path, *, is_fuzzer: bool) -> Path:
    """Compile the harness with the kernel; raises SystemExit where that cannot be done."""
    compiler = shutil.which("clang" if is_fuzzer else "cc")
    if compiler is None:
        raise SystemExit(f"{'clang' if is_fuzzer else 'cc'} is not installed")
    sources = [str(path) for path in sorted(KERNEL.glob("*.c")) if path.name != "module.c"]
    binary = out / ("fuzz" if is_fuzzer else "smoke")
    kind = f"fuzzer,{SANITIZERS}" if is_fuzzer else SANITIZERS
    flags = ["-g", "-O1", "-std=c11", "-ffp-contract=off", f"-fsanitize={kind}"]
    flags += ["-fno-sanitize-recover=all", f"-I{KERNEL}", *([] if is_fuzzer else ["-DSTANDALONE"])]
    harness = str(Path(__file__).with_name("fuzz.c"))
    command = [compiler, *flags, harness, *sources, "-o", str(binary), "-ljpeg", "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"cannot build the harness: {done.stderr}")
    return binary


def main() -> None:
    """Fuzz, or run the smoke test."""
    parser = argparse.ArgumentParser(description="run the kernel over mutated JPEGs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    corpus = given.out / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)  # noqa: S311 (the same inputs each time)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number:02d}").write_bytes(seed)
        if given.smoke:
            for i, data in enumerate(mutations(seed, draw, 60)):
                (corpus / f"seed-{number:02d}-{i:02d}").write_bytes(data)
    binary = built(given.out, is_fuzzer=not given.smoke)
    command = [str(binary), str(corpus)]
    if not given.smoke:
        limits = ["-max_len=20000", "-timeout=20", "-rss_limit_mb=1500", "-print_final_stats=1"]
        command += [f"-runs={given.runs}", f"-artifact_prefix={given.out}/", *limits]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
