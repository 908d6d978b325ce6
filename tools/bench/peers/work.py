"""The work that every peer does, by Pillow, and the command line that all of them have."""

import argparse
import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image, ImageFilter

SIDE_PX = 256
QUALITY = 90


@dataclass(frozen=True, slots=True)
class Plan:
    """The founding augmentation of one image: a centred part of 70 to 100 %, mirrored or not."""

    box: tuple[int, int, int, int]
    mirrored: bool

    @classmethod
    def drawn(cls, width: int, height: int, number: int) -> "Plan":
        """Draw the plan of image `number`."""
        rng = random.Random(number)  # noqa: S311 (no secrets)
        share = rng.uniform(0.7, 1.0)
        wide, high = max(1, round(width * share)), max(1, round(height * share))
        left, top = (width - wide) // 2, (height - high) // 2
        return cls((left, top, left + wide, top + high), rng.random() < 0.5)


def augment(data: bytes, number: int, *, optimize: bool = False) -> bytes:
    """Return a stored image augmented, as JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        return augmented(image, number, optimize=optimize)


def augmented(image: Image.Image, number: int, *, optimize: bool = False) -> bytes:
    """Return an image augmented, as JPEG."""
    image = image.convert("RGB")
    plan = Plan.drawn(*image.size, number)
    image = image.crop(plan.box).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
    if plan.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = io.BytesIO()
    image.filter(ImageFilter.SHARPEN).save(file, "JPEG", quality=QUALITY, optimize=optimize)
    return file.getvalue()


def arguments(parser: argparse.ArgumentParser | None = None) -> argparse.Namespace:
    """Read the command line; the output folder is made."""
    parser = parser or argparse.ArgumentParser()
    parser.add_argument("--src", type=Path, required=True, help="folder with data/*.parquet")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    return given


def parquet_files(src: Path) -> list[Path]:
    """Return the files of a dataset, in order."""
    return sorted((src / "data").glob("*.parquet"))


def row_groups(src: Path) -> Iterator[tuple[Path, int, int, int]]:
    """Yield file, number, first row and rows of every row group."""
    first = 0
    for path in parquet_files(src):
        metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            rows = metadata.row_group(number).num_rows
            yield path, number, first, rows
            first += rows


def finish(images: int) -> None:
    """Report to the harness how many images were made: the last line of a peer's output."""
    print(json.dumps({"images": images}), flush=True)
