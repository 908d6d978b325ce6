"""Runs limit.c over a dataset in threads: how fast the founding augmentation can be.

python tools/bench/limit.py --src out/bench/corpus/inet --out out/bench/limit --workers 2
    [--random-crop]

With --random-crop it does what `random-resized-crop=224` and `hflip` do, instead.

The workers read row groups and write the images of each one after another into a file: less than a
tar, so that nothing but the images is measured.
"""

import argparse
import ctypes
import io
import math
import platform
import queue
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import pyarrow.parquet as pq
from PIL import Image, ImageFilter
from work import QUALITY, SIDE_PX, Plan, arguments, finish, row_groups

HERE = Path(__file__).parent
SPARE = 1.5
"""Pixels left by DCT scaling for each wanted one: as wdsremux takes it."""
ROOM = 1 << 20
RANDOM_CROP_PX = 224
TRIES = 10


def build(folder: Path) -> Path | None:
    """Compile limit.c; None where there is no compiler, no libjpeg, or another CPU."""
    compiler = shutil.which("cc")
    if compiler is None or platform.machine() not in ("x86_64", "AMD64"):
        return None
    library = folder / "limit.so"
    flags = ("-O3", "-mavx2", "-mfma", "-shared", "-fPIC")
    command = [compiler, *flags, str(HERE / "limit.c"), "-o", str(library), "-ljpeg", "-lm"]
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, capture_output=True, check=False)
    return library if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done with each image."""

    side_px: int
    is_sharpened: bool
    draw: Callable[[int, int, int], Plan]
    """Draws box and mirroring from width, height and number."""


def random_crop(width: int, height: int, number: int) -> Plan:
    """Draw a part of 8 to 100 % of the area as torchvision's RandomResizedCrop does."""
    rng = random.Random(number)  # noqa: S311 (no secrets)
    for _ in range(TRIES):
        area = width * height * rng.uniform(0.08, 1.0)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            break
    else:
        wide, high = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    left, top = rng.randint(0, width - wide), rng.randint(0, height - high)
    return Plan((left, top, left + wide, top + high), rng.random() < 0.5)


FOUNDING = Recipe(SIDE_PX, is_sharpened=True, draw=Plan.drawn)
RANDOM_CROP = Recipe(RANDOM_CROP_PX, is_sharpened=False, draw=random_crop)


class Limit:
    """The C function, for one thread."""

    def __init__(self, library: str, recipe: Recipe) -> None:
        self._process = ctypes.CDLL(library).limit_process
        self._process.restype = ctypes.c_long
        self._recipe = recipe
        self._room = ctypes.create_string_buffer(ROOM)

    def __call__(self, data: bytes, number: int) -> bytes:
        """Return the augmented JPEG; what the C program refuses is done by Pillow."""
        recipe = self._recipe
        with Image.open(io.BytesIO(data)) as image:
            plan = recipe.draw(*image.size, number)
            length = self._made(data, plan)
            return self._room.raw[:length] if length > 0 else _by_pillow(image, plan, recipe)

    def _made(self, data: bytes, plan: Plan) -> int:
        recipe = self._recipe
        box = (ctypes.c_double * 4)(*plan.box)
        length: int = self._process(
            data,
            ctypes.c_size_t(len(data)),
            box,
            recipe.side_px,
            recipe.side_px,
            int(plan.mirrored),
            int(recipe.is_sharpened),
            QUALITY,
            ctypes.c_double(SPARE),
            self._room,
            ctypes.c_size_t(ROOM),
        )
        return length


def _by_pillow(image: Image.Image, plan: Plan, recipe: Recipe) -> bytes:
    """Return the augmented JPEG of an image that the C program does not read, such as CMYK."""
    size = (recipe.side_px, recipe.side_px)
    made = image.convert("RGB").crop(plan.box).resize(size, Image.Resampling.BICUBIC)
    if plan.mirrored:
        made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if recipe.is_sharpened:
        made = made.filter(ImageFilter.SHARPEN)
    file = io.BytesIO()
    made.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def work(limit: Limit, todo: "queue.SimpleQueue[tuple[Path, int, int] | None]", out: Path) -> None:
    """Do row groups until there are no more."""
    while (group := todo.get()) is not None:
        path, number, first = group
        with pq.ParquetFile(path) as file:
            table = file.read_row_group(number, columns=["image"])
        images = table.column("image").combine_chunks().field("bytes")
        made = [limit(data.as_py(), first + i) for i, data in enumerate(images)]
        with (out / f"{first:09d}.bin").open("wb") as target:
            target.writelines(made)


def main() -> None:
    """Run over all row groups."""
    parser = argparse.ArgumentParser(description="run the limit over a dataset")
    parser.add_argument("--library")
    parser.add_argument("--random-crop", action="store_true")
    given = arguments(parser)
    library = given.library or build(given.out)
    if library is None:
        raise SystemExit("not built: it needs cc, libjpeg's headers and an x86-64 CPU with AVX2")
    todo: queue.SimpleQueue[tuple[Path, int, int] | None] = queue.SimpleQueue()
    rows = 0
    for path, number, first, count in row_groups(given.src):
        todo.put((path, number, first))
        rows += count
    recipe = RANDOM_CROP if given.random_crop else FOUNDING
    threads = [
        threading.Thread(target=work, args=(Limit(str(library), recipe), todo, given.out))
        for _ in range(given.workers)
    ]
    for thread in threads:
        todo.put(None)
        thread.start()
    for thread in threads:
        thread.join()
    finish(rows)


if __name__ == "__main__":
    main()
