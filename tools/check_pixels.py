"""Compares what is packed with Pillow, over the images in source archives of image libraries.

usage: check_pixels.py SCRATCH ARCHIVE_OR_FOLDER...

For each image, the pixels of a lossless conversion without steps must equal Pillow's own
(`exif_transpose`, embedded profile to sRGB, transparency on white, deep values by the rule of
`wdsremux help images`), or be within 45 dB of it, or the image is rejected with a reason.
The archives are those of the package registries, for example:

    pip download --no-deps --no-binary :all: pillow
    apt-get source --download-only pillow libpng1.6 tiff libwebp gdk-pixbuf imageio

Nothing is unpacked under the names in an archive: images are stored in SCRATCH by number.
"""

import argparse
import io
import json
import math
import resource
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps

from wdsremux.core.image_formats import READ_EXTENSIONS

LEAST_DB = 45.0
MAX_PIXELS = 40_000_000
MAX_MEMORY_BYTES = 6 << 30
"""Of this process and of the conversion: some of the images are bombs."""
_WHITES = {"I": 65535.0, "F": 1.0}


def images_in(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the image files in a folder, a tar or a zip."""
    for name, data in _files_in(path):
        if PurePosixPath(name).suffix[1:].lower() in READ_EXTENSIONS:
            yield name, data


def _files_in(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        yield from ((each.relative_to(path).as_posix(), each.read_bytes()) for each in files)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    else:
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                if file is not None:
                    yield member.name, file.read()


def reference(data: bytes) -> np.ndarray[Any, Any]:
    """Return the pixels by Pillow alone. Raises whatever Pillow raises."""
    image: Image.Image = Image.open(io.BytesIO(data))
    image.load()
    image = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile")
    alpha = None
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        if image.mode.startswith("I;16"):
            clear = np.asarray(image) == image.info["transparency"]
            alpha = Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))
        else:
            gray = image.mode in ("1", "L", "LA", "La")
            image = image.convert("LA") if image.mode == "La" else image
            both = image.convert("RGBA")
            alpha = both.getchannel("A")
            image = both.convert("RGB")
            image = image.convert("L") if gray else image
    image = _in_srgb(_in_eight_bits(image), profile)
    if alpha is not None:
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=alpha)
        image = canvas
    return np.asarray(image)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith(("I", "F")):
        return image.convert("L") if image.mode == "1" else image
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    white = _WHITES.get(image.mode, 65535.0)
    tags = getattr(image, "tag_v2", {})
    white = 4095.0 if image.mode.startswith("I;16") and tags.get(258) == (12,) else white
    if values.min() < 0 or values.max() > white:
        raise ValueError("values outside of the rule")
    return Image.fromarray(np.rint(values * 255.0 / white).astype(np.uint8))


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    if image.mode not in ("L", "RGB", "CMYK"):
        return image.convert("RGB")
    if profile:
        try:
            file = io.BytesIO(profile)
            return ImageCms.profileToProfile(image, file, srgb, outputMode="RGB") or image
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile, or one for another mode
    return image.convert("RGB")


def psnr(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Return the PSNR in dB; infinite for equal pixels, 0 for another shape."""
    if one.shape != other.shape:
        return 0.0
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def converted(source: Path, out: Path) -> tuple[dict[str, bytes], dict[int, str]]:
    """Convert losslessly; return the packed images by file name, and the reasons by row."""
    command = Path(sys.executable).with_name("wdsremux")
    options = ("--format", "png", "--reencode", "--max-errors", "100%", "--overwrite")
    limit = ("--max-pixels", str(MAX_PIXELS), "--progress", "none", "--label-column", "")
    subprocess.run([command, "convert", source, out, *options, *limit], check=True)
    packed: dict[str, bytes] = {}
    for shard in sorted(out.glob("*.tar")):
        with tarfile.open(shard) as tar:
            contents = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]  # all are files
        for name, data in contents.items():
            if name.endswith(".json"):
                entry = json.loads(data)
                packed[entry["file_name"]] = contents[name.removesuffix("json") + "png"]
    lines = (out / ".wdsremux/rejected.jsonl").read_text().splitlines()
    return packed, {line["position"]: line["reason"] for line in map(json.loads, lines)}


def main() -> int:
    """Compare; return 1 if any image is packed with other pixels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("corpora", type=Path, nargs="+")
    arguments = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice that
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    has_wrong = False
    for corpus in arguments.corpora:
        found = dict(images_in(corpus))
        folder = arguments.scratch / f"{corpus.name}.images"
        folder.mkdir(parents=True, exist_ok=True)
        names = {f"{n:06}{PurePosixPath(name).suffix}": name for n, name in enumerate(found)}
        for number, name in names.items():
            (folder / number).write_bytes(found[name])
        packed, reasons = converted(folder, arguments.scratch / f"{corpus.name}.out")
        results: Counter[str] = Counter()
        for row, (number, name) in enumerate(names.items()):
            result, detail = _compared(found[name], packed.get(number), reasons.get(row))
            results[result] += 1
            has_wrong |= result == "WRONG"
            if result in ("WRONG", "rejected, Pillow reads it"):
                print(f"  {result}: {name}: {detail}", flush=True)
        print(f"{corpus.name}: {len(names)} images, {dict(sorted(results.items()))}", flush=True)
    return int(has_wrong)


def _compared(data: bytes, packed: bytes | None, reason: str | None) -> tuple[str, str]:
    """Return what became of one image, and details."""
    try:
        expected = reference(data)
    except Exception as exc:  # noqa: BLE001 (Pillow raises anything)
        return ("rejected" if packed is None else "packed, Pillow fails"), repr(exc)
    if packed is None:
        return "rejected, Pillow reads it", str(reason)
    pixels = np.asarray(Image.open(io.BytesIO(packed)).convert("RGB"))
    found = psnr(pixels, expected)
    if found == math.inf:
        return "equal", ""
    shapes = f"{pixels.shape} against {expected.shape}"
    return ("within 45 dB" if found >= LEAST_DB else "WRONG"), f"{found:.1f} dB, {shapes}"


if __name__ == "__main__":
    sys.exit(main())
