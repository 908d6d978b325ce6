"""Several images in a sample: the same draws for all of them, and masks that keep every label."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image
from support.corpora import jpeg
from support.runs import rejected

import wdsremux
from wdsremux.core.errors import UsageError

SIDE = 64
PALETTE = [number * 7 % 256 for number in range(30)]


def png(values, mode=None):
    file = io.BytesIO()
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette(PALETTE)
    image.save(file, "PNG")
    return file.getvalue()


def blocks(number, dtype=np.uint8, side=SIDE):
    """Return labels in blocks of 8 pixels, and RGB pixels that show the same labels."""
    draw = np.random.default_rng(number)
    labels = np.kron(draw.integers(0, 10, (side // 8, side // 8)), np.ones((8, 8))).astype(dtype)
    pixels = np.stack([labels * 25] * 3, axis=2).astype(np.uint8)
    return labels, pixels


def rows(count=4, dtype=np.uint8, mode=None):
    found = []
    for number in range(count):
        labels, pixels = blocks(number, dtype)
        found.append({"image": png(pixels), "mask": png(labels, mode), "label": number})
    return found


def convert(out, source=None, **options):
    options = {"workers": 0, "progress": "none", "image_columns": "image,mask"} | options
    return wdsremux.convert(rows() if source is None else source, out, **options)


def samples(out):
    """Return the members of each sample by extension, in order."""
    found = {}
    for file in sorted(out.glob("*.tar")):
        with tarfile.open(file) as tar:
            for one in tar:
                key, _, extension = one.name.partition(".")
                found.setdefault(key, {})[extension] = tar.extractfile(one).read()
    return [*found.values()]


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_each_column_is_a_member_with_its_name_and_a_mask_is_a_png(tmp_path):
    manifest = convert(tmp_path / "out")
    assert [*samples(tmp_path / "out")[0]] == ["image.jpg", "mask.png", "json"]
    assert manifest.head.options["image_columns"] == ["image:image", "mask:mask"]
    assert manifest.head.features["mask.png"] == "image"
    assert wdsremux.verify(tmp_path / "out", "pixels").findings == ()


@pytest.mark.parametrize(
    ("dtype", "mode", "expected"),
    [(np.uint8, "L", "L"), (np.uint8, "P", "P"), (np.uint16, None, "I;16"), (bool, None, "1")],
)
def test_a_mask_keeps_its_values_its_bits_and_its_palette(tmp_path, dtype, mode, expected):
    source = rows(dtype=dtype, mode=mode)
    convert(tmp_path / "out", source, steps=["hflip=1"])
    for row, sample in zip(source, samples(tmp_path / "out"), strict=True):
        before, after = opened(row["mask"]), opened(sample["mask.png"])
        assert after.mode == expected
        assert np.array_equal(np.asarray(before)[:, ::-1], np.asarray(after))
        if mode == "P":
            assert after.getpalette()[:30] == PALETTE


STEPS = [
    "random-resized-crop=48",
    "hflip",
    "vflip",
    "rotate=20",
    "pad=56",
    "color-jitter=0.4,0.4,0.4,0.1",
    "blur=1",
]


def test_geometry_has_the_same_draw_for_all_and_colours_of_a_mask_stay(tmp_path):
    # Colour steps draw between the geometric ones, too.
    steps = [
        "color-jitter=0.4,0.4,0.4,0.1",
        "random-resized-crop=48",
        "hflip",
        "vflip",
        "random-crop=40",
    ]
    convert(tmp_path / "out", rows(8), steps=steps[1:], copies=2, format="png")
    convert(tmp_path / "jitter", rows(8), steps=steps, copies=2, format="png")
    for sample in samples(tmp_path / "out"):
        image, mask = opened(sample["image.png"]), opened(sample["mask.png"])
        assert image.size == mask.size == (40, 40)
        # The image shows its labels: with another draw for the mask they would not agree.
        shown, labels = np.asarray(image)[:, :, 0].ravel(), np.asarray(mask).ravel()
        assert np.corrcoef(shown, labels)[0, 1] > 0.9
    for sample in samples(tmp_path / "jitter"):
        assert {*np.unique(np.asarray(opened(sample["mask.png"])))} <= {*range(10)}


def test_every_step_leaves_only_labels_of_the_source_and_background(tmp_path):
    convert(tmp_path / "out", steps=STEPS)
    for number, sample in enumerate(samples(tmp_path / "out")):
        known = {0, *np.unique(blocks(number)[0])}
        found = np.asarray(opened(sample["mask.png"]))
        assert found.shape == (56, 56)
        assert {*np.unique(found)} <= known


def test_the_kind_of_a_column_can_be_written_and_the_main_image_comes_first(tmp_path):
    source = [{"depth": row["mask"], "mask": row["image"], "label": 1} for row in rows()]
    manifest = convert(tmp_path / "out", source, image_columns="depth:mask,mask:image")
    assert manifest.head.options["image_column"] == "mask"
    assert [*samples(tmp_path / "out")[0]] == ["mask.jpg", "depth.png", "json"]


def test_a_batch_function_gets_and_returns_all_images(tmp_path):
    seen = set()

    def raised(batch):
        both = zip(batch["image"], batch["mask"], strict=True)
        seen.update((image.mode, mask.mode) for image, mask in both)
        batch["mask"] = [np.asarray(mask).astype(np.int64) + 300 for mask in batch["mask"]]
        return batch

    source = rows()
    convert(tmp_path / "out", source, transform=raised)
    assert seen == {("RGB", "L")}
    for row, sample in zip(source, samples(tmp_path / "out"), strict=True):
        values = np.asarray(opened(row["mask"])).astype(np.uint16) + 300
        assert np.array_equal(np.asarray(opened(sample["mask.png"])), values)


def test_a_sample_function_may_return_only_the_image_and_the_mask_stays(tmp_path):
    def plain(sample):
        return {"image": sample["image"]}

    source = rows()
    convert(tmp_path / "out", source, transform=plain, transform_mode="sample",
            transform_input="numpy")  # fmt: skip
    for row, sample in zip(source, samples(tmp_path / "out"), strict=True):
        assert np.array_equal(opened(row["mask"]), opened(sample["mask.png"]))


def test_a_mask_that_a_png_cannot_hold_rejects_its_row(tmp_path):
    def negative(sample):
        mask = np.asarray(sample["mask"]).astype(np.int32)
        return {"image": sample["image"], "mask": mask - (1000 if sample["label"] == 2 else 0)}

    convert(tmp_path / "out", transform=negative, transform_mode="sample", max_errors=1)
    (only,) = rejected(tmp_path / "out")
    assert (only["position"], only["stage"]) == (2, "transform")
    assert "column 'mask': a mask with the value -" in only["reason"]


def test_a_missing_mask_and_one_of_another_size_reject_their_rows(tmp_path):
    source = rows()
    source[1]["mask"] = None
    source[2]["mask"] = png(blocks(2, side=32)[0])
    convert(tmp_path / "out", source, steps=["resize=32"], max_errors=2)
    missing, small = rejected(tmp_path / "out")
    assert missing["reason"] == "column 'mask': the image is null"
    assert "has an image of 32 x 32, and 'image' one of 64 x 64" in small["reason"]
    # Without steps that move pixels, sizes may differ.
    convert(tmp_path / "plain", source, max_errors=1)
    assert opened(samples(tmp_path / "plain")[1]["mask.png"]).size == (32, 32)


def test_jpegs_are_packed_unchanged_beside_their_masks(tmp_path):
    source = [{**row, "image": jpeg(n), "second": jpeg(n + 9)} for n, row in enumerate(rows())]
    convert(tmp_path / "out", source, image_columns="image,second,mask")
    for row, sample in zip(source, samples(tmp_path / "out"), strict=True):
        assert sample["image.jpg"] == row["image"]
        assert sample["second.jpg"] == row["second"]
        assert np.array_equal(opened(row["mask"]), opened(sample["mask.png"]))
        assert json.loads(sample["json"])["width"] == opened(row["image"]).width


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_columns": "image,msak"}, "'msak': not a column.*did you mean mask"),
        ({"image_columns": "image,label:image"}, "'label' holds int64, not images"),
        ({"image_columns": "mask,image:mask"}, "one of which is not a mask"),
        ({"image_columns": "image"}, "needs two or more columns"),
        ({"image_columns": "image,image"}, "would both be the member 'image'"),
        ({"image_columns": "image,mask", "image_column": "mask"}, "not an image of"),
        ({"image_list": "each"}, "cannot be combined with image_columns"),
        ({"image_columns": None}, "2 image columns: image, mask; choose one with"),
    ],
)
def test_columns_that_cannot_be_packed_are_refused(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        convert(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{"transform": lambda image: image}, {"eval_transform": "f:g"}])
def test_a_function_of_single_images_is_refused(tmp_path, options):
    with pytest.raises(UsageError, match="passes one image to your function"):
        convert(tmp_path / "out", transform_mode="image", **options)
