"""Makes JPEG datasets in Parquet from a few photographs, by random crops and scales; seeded.

python tools/bench/make_corpus.py --out out/bench/corpus [--photos DIR] [--images 2000] [--seed 0]

inet       500 x 375 and around, quality 88-96, 84 % 4:2:0, 4 % 4:2:2, 12 % 4:4:4, 2.5 % gray,
           0.3 % CMYK, 4 % progressive, 2 % turned by EXIF: what ImageNet looks like
places256  256 x 256, quality 75-90, 4:2:0
hires      an eighth as many, long side 1600-3000, quality 85-95
camera     a fortieth as many, 4000 x 3000, quality 85-95: 12 megapixels

The same photos, seed, Pillow and pyarrow give the same files. Real ImageNet is heavier (110 kB an
image): entropy decoding, which cannot be avoided, takes a larger share there.
"""

import argparse
import functools
import io
import json
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "wdsremux" / "sources" / "photos"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
KINDS = ("inet", "places256", "hires", "camera")
FEWER = {"hires": 8, "camera": 40}
"""Large images are fewer by these factors."""
CLASSES = tuple(f"class_{i:02d}" for i in range(20))
ROW_GROUP_ROWS = 100
ORIENTATION = 0x0112
MOST_SIDE_PX = 4096
HIRES_SHORT_SIDE_PX = 1200
"""Photos whose shorter side has less are not enlarged to high resolution if there are others."""


@dataclass(frozen=True, slots=True)
class Order:
    """One image to be made."""

    kind: str
    number: int
    seed: int
    photos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """One image, and what the summary says of it."""

    data: bytes
    label: int
    pixels: int


@functools.lru_cache(maxsize=64)
def photo(path: str) -> Image.Image:
    """Open a photo, once in each process; larger ones than needed would fill the memory."""
    with Image.open(path) as image:
        image.draft("RGB", (MOST_SIDE_PX, MOST_SIDE_PX))
        opened = image.convert("RGB")
    opened.thumbnail((MOST_SIDE_PX, MOST_SIDE_PX), Image.Resampling.LANCZOS)
    return opened


def detail(image: Image.Image) -> float:
    """Return how much detail there is."""
    small = image.convert("L").resize((96, 96), Image.Resampling.BOX)
    levels = np.asarray(small, np.float32)
    return float(np.abs(np.diff(levels, axis=0)).mean() + np.abs(np.diff(levels, axis=1)).mean())


def region(
    rng: random.Random, paths: Sequence[str], size: tuple[int, int], shrink: tuple[float, float]
) -> Image.Image:
    """Return a random part of a random photo, shrunk by a random factor: the best of three."""
    found = [_region(rng, photo(rng.choice(paths)), size, shrink) for _ in range(3)]
    return max(found, key=detail)


def _region(
    rng: random.Random, image: Image.Image, size: tuple[int, int], shrink: tuple[float, float]
) -> Image.Image:
    width, height = size
    most = min(image.width / width, image.height / height)
    scale = rng.uniform(shrink[0], min(shrink[1], most)) if most >= shrink[0] else most
    wide, high = int(width * scale), int(height * scale)
    left, top = rng.randint(0, image.width - wide), rng.randint(0, image.height - high)
    box = (left, top, left + wide, top + high)
    part = image.resize(size, Image.Resampling.LANCZOS, box=box)
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part


def inet_size(rng: random.Random) -> tuple[int, int]:
    """Draw a size as ImageNet's are spread."""
    draw = rng.random()
    for share, size in (
        (0.40, (500, 375)),
        (0.55, (375, 500)),
        (0.70, (500, 333)),
        (0.75, (333, 500)),
        (0.80, (500, 500)),
    ):
        if draw < share:
            return size
    low, high = (200, 640) if draw < 0.95 else (640, 1280) if draw < 0.98 else (100, 250)
    return rng.randint(low, high), rng.randint(low, high)


def inet(rng: random.Random, paths: Sequence[str]) -> tuple[Image.Image, dict[str, object]]:
    """Return an image as ImageNet's are, and how it is stored."""
    image = region(rng, paths, inet_size(rng), (1.0, 3.5))
    draw = rng.random()
    stored: dict[str, object] = {
        "quality": rng.randint(88, 96),
        "subsampling": "4:2:0" if draw < 0.84 else "4:2:2" if draw < 0.88 else "4:4:4",
        "progressive": rng.random() < 0.04,
    }
    draw = rng.random()
    if draw < 0.028:
        image = image.convert("L" if draw < 0.025 else "CMYK")
        del stored["subsampling"]
    if rng.random() < 0.02:
        exif = Image.Exif()
        exif[ORIENTATION] = rng.choice((3, 6, 8))
        stored["exif"] = exif
    return image, stored


def places256(rng: random.Random, paths: Sequence[str]) -> tuple[Image.Image, dict[str, object]]:
    """Return an image as those of the small Places365 are, and how it is stored."""
    image = region(rng, paths, (256, 256), (1.2, 6.0))
    return image, {"quality": rng.randint(75, 90), "subsampling": "4:2:0"}


def hires(rng: random.Random, paths: Sequence[str]) -> tuple[Image.Image, dict[str, object]]:
    """Return an image as cameras make them, and how it is stored."""
    big = [path for path in paths if _short_side(path) >= HIRES_SHORT_SIDE_PX]
    long = rng.randint(1600, 3000)
    short = int(long / rng.choice((4 / 3, 3 / 2, 16 / 9)))
    size = (long, short) if rng.random() < 0.7 else (short, long)
    image = region(rng, big or paths, size, (1.0, 1.6))
    subsampling = "4:2:0" if rng.random() < 0.85 else "4:4:4"
    return image, {"quality": rng.randint(85, 95), "subsampling": subsampling}


def camera(rng: random.Random, paths: Sequence[str]) -> tuple[Image.Image, dict[str, object]]:
    """Return an image of 12 megapixels, and how it is stored."""
    big = [path for path in paths if _short_side(path) >= HIRES_SHORT_SIDE_PX]
    size = (4000, 3000) if rng.random() < 0.7 else (3000, 4000)
    image = region(rng, big or paths, size, (1.0, 1.6))
    return image, {"quality": rng.randint(85, 95), "subsampling": "4:2:0"}


@functools.cache
def _short_side(path: str) -> float:
    """Return the shorter side of a photo once it is opened; it is not opened for that."""
    size = _size(path)
    return min(size) * min(1.0, MOST_SIDE_PX / max(size))


def made(order: Order) -> Made:
    """Make one image; everything follows from seed, kind and number."""
    rng = random.Random(f"{order.seed}/{order.kind}/{order.number}")  # noqa: S311 (no secrets)
    make = {"inet": inet, "places256": places256, "hires": hires, "camera": camera}[order.kind]
    image, stored = make(rng, order.photos)
    file = io.BytesIO()
    image.save(file, "JPEG", **stored)
    return Made(file.getvalue(), rng.randrange(len(CLASSES)), image.width * image.height)


def schema() -> pa.Schema:
    """Return the schema that `Dataset.to_parquet` writes: an Image and a ClassLabel."""
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(CLASSES), "_type": "ClassLabel"},
    }
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([("image", image), ("label", pa.int64())], metadata=metadata)


def write(folder: Path, images: Sequence[Made], files: int) -> None:
    """Write `data/train-NNNNN-of-NNNNN.parquet` as `push_to_hub` does."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for old in (folder / "data").iterdir():
        old.unlink()
    files = max(1, min(files, len(images)))
    borders = [len(images) * i // files for i in range(files + 1)]
    for i in range(files):
        rows = range(borders[i], borders[i + 1])
        columns = {
            "image": [{"bytes": images[row].data, "path": f"{row:06d}.jpg"} for row in rows],
            "label": [images[row].label for row in rows],
        }
        pq.write_table(
            pa.table(columns, schema=schema()),
            folder / "data" / f"train-{i:05d}-of-{files:05d}.parquet",
            row_group_size=ROW_GROUP_ROWS,
            compression="snappy",
        )


def summary(kind: str, images: Sequence[Made], photos: int) -> dict[str, object]:
    """Return what the results record of a dataset."""
    size = sum(len(image.data) for image in images)
    pixels = sum(image.pixels for image in images)
    return {
        "kind": kind,
        "images": len(images),
        "photos": photos,
        "mean_kb": round(size / len(images) / 1e3, 1),
        "mean_megapixels": round(pixels / len(images) / 1e6, 3),
        "bits_per_pixel": round(8 * size / pixels, 2),
    }


def make(
    kind: str, out: Path, paths: tuple[str, ...], *, images: int, seed: int, jobs: int
) -> dict[str, object]:
    """Make one dataset below `out` and return its summary; one that is there is kept."""
    count = max(1, images // FEWER.get(kind, 1))
    wanted = {"images": count, "seed": seed, "photos": [Path(path).name for path in paths]}
    note = out / f"{kind}.json"
    if note.is_file():
        standing: dict[str, object] = json.loads(note.read_text())
        if standing.pop("made_of", None) == wanted:
            return standing
    orders = [Order(kind, number, seed, paths) for number in range(count)]
    with ProcessPoolExecutor(jobs) as pool:
        found = list(pool.map(made, orders, chunksize=8))
    write(out / kind, found, files=10)
    reported = summary(kind, found, len(paths))
    note.write_text(json.dumps({**reported, "made_of": wanted}, indent=1) + "\n")
    return reported


def photos_in(folder: Path) -> tuple[str, ...]:
    """Return the photos below a folder, without those too small to cut from."""
    found = sorted(str(p) for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise SystemExit(f"there is no photo below {folder}")
    sizes = {path: _size(path) for path in found if not Path(path).is_symlink()}
    return tuple(path for path, size in sizes.items() if min(size) >= 256)


def _size(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def main() -> None:
    """Make the datasets."""
    parser = argparse.ArgumentParser(description="make the datasets of the benchmarks")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(KINDS), help="kinds, with commas")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    paths = photos_in(given.photos)
    for kind in given.only.split(","):
        result = make(kind, given.out, paths, images=given.images, seed=given.seed, jobs=given.jobs)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
