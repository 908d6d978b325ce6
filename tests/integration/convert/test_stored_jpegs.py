"""JPEGs that are packed unchanged are decoded at a small scale first: damage is found here, not in training."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image
from support.forked_runs import convert, wdsremux
from support.runs import manifest, rejected

from wdsremux.transforms.codecs.codec import Codec, DecodeError

pytestmark = pytest.mark.integration

ROWS = 60
DAMAGED = range(1, ROWS, 2)


def saved(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def noise(chance, width, height):
    return Image.fromarray(chance.integers(60, 190, (height, width, 3), np.uint8))


def packed(out):
    """Return the packed images, in order."""
    with tarfile.open(out / "train-000000.tar") as tar:
        return [tar.extractfile(each).read() for each in tar if each.name.endswith(".jpg")]


def damaged(data, chance):
    """Return a JPEG with zeros or a gap in its tables or its scan; header and end are whole."""
    data, kind = bytearray(data), chance.integers(3)
    at = chance.integers(170, 560) if kind == 0 else chance.integers(700, len(data) - 300)
    data[at : at + (200 if kind == 2 else 40)] = b"" if kind == 2 else bytes(40)
    return bytes(data)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder of noise; every second image is damaged between header and end."""
    folder, chance = tmp_path_factory.mktemp("photos"), np.random.default_rng(4)
    for row in range(ROWS):
        data = saved(noise(chance, 160, 120), progressive=row % 4 > 1)
        data = damaged(data, chance) if row in DAMAGED else data
        (folder / f"{row:03d}.jpg").write_bytes(data)
    return folder


def decodes(data):
    """Return whether a decode of the whole image succeeds."""
    try:
        Codec(kernel="portable").decode(data)
    except DecodeError:
        return False
    return True


def test_what_is_packed_can_be_decoded_and_what_cannot_is_rejected(photos, tmp_path):
    convert(photos, tmp_path / "out", "--max-errors", "100%")
    good = [file for file in sorted(photos.iterdir()) if decodes(file.read_bytes())]
    assert packed(tmp_path / "out") == [file.read_bytes() for file in good]
    assert 0 < len(rejected(tmp_path / "out")) == ROWS - len(good)
    assert {item["stage"] for item in rejected(tmp_path / "out")} == {"decode"}
    assert wdsremux("verify", tmp_path / "out", "--depth", "pixels").returncode == 0


def test_the_number_of_workers_decides_nothing(photos, tmp_path):
    for workers in (0, 2):
        words = ("--max-errors", "100%", "--workers", workers)
        convert(photos, tmp_path / str(workers), *words)
    shards = [(tmp_path / n / "train-000000.tar").read_bytes() for n in ("0", "2")]
    assert shards[0] == shards[1]


@pytest.mark.parametrize("check", ["structure", "none"])
def test_less_can_be_checked(photos, tmp_path, check):
    convert(photos, tmp_path / "out", "--check", check, "--max-errors", "100%")
    assert len(packed(tmp_path / "out")) > ROWS - len(DAMAGED)


def test_without_a_check_the_end_may_be_missing(tmp_path):
    folder = tmp_path / "cut"
    folder.mkdir()
    whole = saved(noise(np.random.default_rng(1), 64, 64))
    (folder / "0.jpg").write_bytes(whole)
    (folder / "1.jpg").write_bytes(whole[:-100])
    counts = []
    for check in ("structure", "none"):
        convert(folder, tmp_path / check, "--check", check, "--max-errors", "100%")
        counts.append(manifest(tmp_path / check)["totals"]["samples"])
    assert counts == [1, 2]


def test_the_check_is_part_of_the_recipe_where_jpegs_are_packed_unchanged(photos, tmp_path):
    convert(photos, tmp_path / "out", "--max-errors", "100%")
    done = convert(photos, tmp_path / "out", "--check", "none", "--max-errors", "100%", code=7)
    assert "--check was" in done.stderr
    resized = ("--step", "resize=32", "--max-errors", "100%")
    convert(photos, tmp_path / "resized", *resized)
    convert(photos, tmp_path / "resized", *resized, "--check", "none")
