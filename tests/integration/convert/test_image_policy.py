"""What happens to an image: one run over a folder with every kind, and what is packed as it is."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.corpora import jpeg, write_parquet_dataset
from support.forked_runs import convert
from support.pictures import DISPLAY_P3, SRGB, icc_profile, saved, scene
from support.runs import manifest, samples

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SCENE = scene(64, 48)
PIXELS = np.asarray(SCENE)
GRAY = np.asarray(SCENE.convert("L"))
MATTE = (0, 128, 255)
BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright image is turned before a camera's tag turns it back."""


def turned(orientation):
    image = SCENE.transpose(BACK[orientation]) if orientation in BACK else SCENE
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, "JPEG", quality=98, subsampling=0, exif=exif)


def ycck():
    """Return a JPEG as Photoshop writes it: inverted CMYK without black, its colours as YCbCr."""
    negative = Image.fromarray(255 - PIXELS).convert("YCbCr")
    black = Image.new("L", SCENE.size, 255)
    stored = Image.merge("CMYK", (*negative.split(), black))
    # Pillow inverts what it writes.
    data = saved(Image.fromarray(255 - np.asarray(stored), "CMYK"), "JPEG", quality=98)
    place = data.index(b"Adobe") + 11
    return data[:place] + b"\x02" + data[place + 1 :]


def lab():
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(SCENE, *profiles, outputMode="LAB")
    image.info.clear()
    return saved(image, "TIFF")


def palette():
    """Return an image of 64 colours of which one is transparent, and what is to be seen."""
    image = SCENE.quantize(64)
    numbers = np.asarray(image)
    seen = np.array(image.convert("RGB"))
    seen[numbers == 7] = MATTE
    assert (numbers == 7).any()
    return saved(image, "PNG", transparency=7), seen


def translucent(kind, **options):
    """Return an image that fades from left to right, and what is to be seen."""
    alpha = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8), (48, 64))
    data = np.dstack([PIXELS, alpha])
    share = alpha[..., None] / 255
    return saved(Image.fromarray(data), kind, **options), PIXELS * share + MATTE * (1 - share)


def through_profile(primaries, gamma):
    """Return what pixels with a profile look like in sRGB, by the definitions of both."""
    xyz = (PIXELS / 255) ** gamma @ np.array(primaries)
    linear = (xyz @ np.linalg.inv(np.array(SRGB))).clip(0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curved * 255


def animation(kind, **options):
    second = Image.new("RGB", SCENE.size, "red")
    return saved(SCENE, kind, save_all=True, append_images=[second, second], duration=50, **options)


def kinds():
    """Return {file name: (content, pixels that are expected)}."""
    gray16 = Image.fromarray(GRAY.astype(np.uint16) * 257)
    p3 = icc_profile("RGB ", 2.2, DISPLAY_P3)
    found = {f"exif{n}.jpg": (turned(n), PIXELS) for n in range(1, 9)}
    cmyk = saved(SCENE.convert("CMYK"), "JPEG", quality=98)
    found |= {
        "cmyk.jpg": (cmyk, PIXELS),
        "ycck.jpg": (ycck(), PIXELS),
        "gray.jpg": (saved(SCENE.convert("L"), "JPEG", quality=98), GRAY[..., None]),
        "palette.png": palette(),
        "rgba.png": translucent("PNG"),
        "rgba.webp": translucent("WEBP", lossless=True),
        "gray.png": (saved(SCENE.convert("L"), "PNG"), GRAY[..., None]),
        "gray16.png": (saved(gray16, "PNG"), GRAY[..., None]),
        "lab.tif": (lab(), PIXELS),
        "rgb.tif": (saved(SCENE, "TIFF", compression="tiff_lzw"), PIXELS),
        "p3.png": (saved(SCENE, "PNG", icc_profile=p3), through_profile(DISPLAY_P3, 2.2)),
        "p3.jpg": (
            saved(SCENE, "JPEG", quality=98, subsampling=0, icc_profile=p3),
            through_profile(DISPLAY_P3, 2.2),
        ),
        "gamma.png": (
            saved(SCENE, "PNG", icc_profile=icc_profile("RGB ", 1.8)),
            through_profile(SRGB, 1.8),
        ),
        "moving.gif": (animation("GIF"), np.asarray(SCENE.quantize(256).convert("RGB"))),
        "moving.webp": (animation("WEBP", lossless=True), PIXELS),
        "plain.jp2": (saved(SCENE, "JPEG2000"), PIXELS),
        "plain.avif": (saved(SCENE, "AVIF", quality=95), PIXELS),
        "plain.bmp": (saved(SCENE, "BMP"), PIXELS),
        "plain.png": (saved(SCENE, "PNG"), PIXELS),
    }
    return found


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Return {file name: packed bytes} of one run over all kinds."""
    folder, out = tmp_path_factory.mktemp("kinds"), tmp_path_factory.mktemp("out") / "out"
    for name, (content, _) in kinds().items():
        (folder / name).write_bytes(content)
    matte = "#{:02x}{:02x}{:02x}".format(*MATTE)
    arguments = ("--reencode", "--matte", matte, "--quality", 98, "--subsampling", "444")
    convert(folder, out, *arguments, "--max-errors", 0)
    return {json.loads(sample["json"])["file_name"]: sample["jpg"] for sample in samples(out)}


@pytest.mark.parametrize("name", list(kinds()))
def test_every_format_is_packed_as_it_is_displayed(packed, name):
    expected = np.broadcast_to(kinds()[name][1], (48, 64, 3))
    image = Image.open(io.BytesIO(packed[name]))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))
    assert 0x0112 not in image.getexif()
    assert "icc_profile" not in image.info
    off = np.abs(np.asarray(image).astype(float) - expected)
    loss = 6 if name == "moving.gif" else 2.5  # the palette of a GIF is made as it is saved
    assert off.mean() < loss, off.mean()


class TestPassingThrough:
    """A stored JPEG with nothing to be done to it."""

    def test_its_bytes_are_packed_and_the_manifest_says_so(self, tmp_path):
        images = [turned(6), jpeg(1), saved(SCENE.convert("CMYK"), "JPEG")]
        source = write_parquet_dataset(tmp_path / "in", images=images).folder
        done = convert(source, tmp_path / "out", "--progress", "log")
        assert [sample["jpg"] for sample in samples(tmp_path / "out")] == images
        (note,) = manifest(tmp_path / "out")["notes"]
        assert "packed unchanged, with their EXIF orientation tag" in note
        assert note in done.stdout

    @pytest.mark.parametrize("arguments", [("--reencode",), ("--step", "hflip=0")])
    def test_reencode_and_any_step_encode_again(self, tmp_path, arguments):
        image = turned(6)
        source = write_parquet_dataset(tmp_path / "in", images=[image]).folder
        convert(source, tmp_path / "out", *arguments)
        (sample,) = samples(tmp_path / "out")
        assert sample["jpg"] != image
        assert json.loads(sample["json"])["width"] == 64
        assert manifest(tmp_path / "out")["notes"] == []

    def test_other_formats_are_encoded_as_the_requested_one(self, tmp_path):
        images = [saved(SCENE, "PNG"), saved(SCENE, "WEBP"), jpeg(1)]
        source = write_parquet_dataset(tmp_path / "in", images=images).folder
        convert(source, tmp_path / "jpeg")
        found = [sample["jpg"] for sample in samples(tmp_path / "jpeg")]
        assert [Image.open(io.BytesIO(data)).format for data in found] == ["JPEG"] * 3
        assert found[2] == images[2]
        for name, extension in (("png", "png"), ("webp", "webp")):
            convert(source, tmp_path / name, "--format", name)
            found = [sample[extension] for sample in samples(tmp_path / name)]
            assert [Image.open(io.BytesIO(data)).format for data in found] == [name.upper()] * 3


def test_an_image_of_too_many_pixels_is_rejected_before_it_is_decoded(tmp_path):
    images = [jpeg(1), saved(Image.new("1", (30_000, 30_000)), "PNG"), jpeg(2)]
    source = write_parquet_dataset(tmp_path / "in", images=images).folder
    done = convert(source, tmp_path / "out", "--max-errors", 0, code=6)
    assert "900000000" in done.stderr.replace(",", "").replace(" ", "") or "Mpx" in done.stderr
    convert(source, tmp_path / "lower", "--max-pixels", 100, "--max-errors", "100%", code=6)
