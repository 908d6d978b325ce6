"""Compares our resampling with Pillow's antialiased BICUBIC of the full decode, as JSON.

Both cut the same box; ours may decode at a fraction of the size. Pixels are compared before they
are encoded. SSIM: luma, Gaussian window of 1.5 pixels, as in its first description (Wang 2004).
"""

import argparse
import io
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from PIL import Image
from scene import GEOMETRY

from wdsremux.transforms.base import sample_rng
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.kernel.choice import Kernel, chosen_kernel
from wdsremux.transforms.steps.catalogue import apply_steps, steps_from_text
from wdsremux.transforms.steps.picture import SourceImage

Floats = npt.NDArray[np.float64]


def psnr(a: Floats, b: Floats) -> float:
    """Return the peak signal-to-noise ratio in dB; 99 for equal images."""
    error = float(np.mean((a - b) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else 99.0


def ssim(a: Floats, b: Floats) -> float:
    """Return the structural similarity of two gray images."""

    def smooth(image: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(image, (11, 11), 1.5)[5:-5, 5:-5], np.float64)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    both = smooth(a * b) - mean_a * mean_b
    up = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    down = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float(np.mean(up / down))


def images_of(source: Path, most: int) -> Iterator[bytes]:
    """Yield the first images of a dataset."""
    for file in sorted((source / "data").glob("*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(100, columns=["image"]):
            for image in batch.column("image").field("bytes"):
                if most == 0:
                    return
                most -= 1
                yield image.as_py()


def compared(data: bytes, number: int, kernel: Kernel) -> tuple[float, float, float] | None:
    """Return PSNR, SSIM and the largest mean difference of a channel of one image, in levels.

    None for one that is not RGB and upright.
    """
    with Image.open(io.BytesIO(data)) as image:
        if image.mode != "RGB" or image.getexif().get(0x0112, 1) != 1:
            return None
        picture = SourceImage(data, Codec(kernel=kernel)).picture()
        steps = steps_from_text(GEOMETRY)
        apply_steps(steps, [picture], [sample_rng(42, 0, number)], (255, 255, 255))
        plan = picture.first_plan
        wanted = image.resize(plan.target, Image.Resampling.BICUBIC, box=plan.box)
    if plan.mirrored:
        wanted = wanted.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ours = Image.fromarray(picture.pixels())
    pairs = [np.asarray(each, np.float64) for each in (ours, wanted)]
    grays = (np.asarray(each.convert("L"), np.float64) for each in (ours, wanted))
    shift = float(np.abs((pairs[0] - pairs[1]).mean((0, 1))).max())
    return psnr(*pairs), ssim(*grays), shift


def main() -> None:
    """Compare the images of a dataset."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--src", type=Path, required=True)
    parser.add_argument("--images", type=int, default=250)
    parser.add_argument("--kernel", choices=("auto", "native", "portable"), default="auto")
    given = parser.parse_args()
    kernel = chosen_kernel(given.kernel)
    images = enumerate(images_of(given.src, given.images))
    every = (compared(data, number, kernel) for number, data in images)
    psnrs, ssims, shifts = zip(*(each for each in every if each is not None), strict=True)
    answer = {"kernel": kernel, "psnr_db": psnrs, "ssim": ssims, "channel_shift": shifts}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
