"""Runs limit.c over a dataset in threads: how fast the founding augmentation can be.

python tools/bench/limit.py --src out/bench/corpus/inet --out out/bench/limit --workers 2

The workers read row groups and write the images of each one after another into a file: less than a
tar, so that nothing but the images is measured.
"""

import argparse
import ctypes
import io
import platform
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import pyarrow.parquet as pq
from PIL import Image
from work import QUALITY, SIDE_PX, Plan, arguments, augment, finish, row_groups

HERE = Path(__file__).parent
SPARE = 1.5
"""Pixels left by DCT scaling for each wanted one: as wdsremux takes it."""
ROOM = 1 << 20


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


class Limit:
    """The C function, for one thread."""

    def __init__(self, library: str) -> None:
        self._process = ctypes.CDLL(library).limit_process
        self._process.restype = ctypes.c_long
        self._room = ctypes.create_string_buffer(ROOM)

    def __call__(self, data: bytes, number: int) -> bytes:
        """Return the augmented JPEG; what the C program refuses is done by Pillow."""
        with Image.open(io.BytesIO(data)) as image:
            plan = Plan.drawn(*image.size, number)
        box = (ctypes.c_double * 4)(*plan.box)
        sizes = (SIDE_PX, SIDE_PX, int(plan.mirrored), 1, QUALITY)
        length = self._process(
            data,
            ctypes.c_size_t(len(data)),
            box,
            *sizes,
            ctypes.c_double(SPARE),
            self._room,
            ctypes.c_size_t(ROOM),
        )
        return self._room.raw[:length] if length > 0 else augment(data, number)


def work(library: str, todo: "queue.SimpleQueue[tuple[Path, int, int] | None]", out: Path) -> None:
    """Do row groups until there are no more."""
    limit = Limit(library)
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
    given = arguments(parser)
    library = given.library or build(given.out)
    if library is None:
        raise SystemExit("not built: it needs cc, libjpeg's headers and an x86-64 CPU with AVX2")
    todo: queue.SimpleQueue[tuple[Path, int, int] | None] = queue.SimpleQueue()
    rows = 0
    for path, number, first, count in row_groups(given.src):
        todo.put((path, number, first))
        rows += count
    work_arguments = (str(library), todo, given.out)
    threads = [threading.Thread(target=work, args=work_arguments) for _ in range(given.workers)]
    for thread in threads:
        todo.put(None)
        thread.start()
    for thread in threads:
        thread.join()
    finish(rows)


if __name__ == "__main__":
    main()
