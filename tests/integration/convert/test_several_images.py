"""Several images in a sample, from every kind of source to every reader."""

import io
import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image
from support.readers import webdataset_samples, wids_samples

import wdsremux

ROWS = 12
STEPS = ["random-resized-crop=32", "hflip", "color-jitter=0.3"]


def encoded(array, kind):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def images():
    """Return (photo, mask) of each row as files; the mask has 16 bits."""
    draw = np.random.default_rng(0)
    for _ in range(ROWS):
        photo = draw.integers(0, 256, (40, 48, 3), np.uint8)
        mask = np.kron(draw.integers(0, 900, (5, 6)), np.ones((8, 8))).astype(np.uint16)
        yield encoded(photo, "PNG"), encoded(mask, "PNG")


def write_parquet(folder):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = zip(*images(), strict=True)
    made = [pa.array([{"bytes": data, "path": None} for data in each], kind) for each in columns]
    pq.write_table(pa.table(made, names=["image", "mask"]), folder / "train.parquet")
    return str(folder / "train.parquet")


def write_folder(folder):
    lines = []
    for number, (photo, mask) in enumerate(images()):
        (folder / f"{number}.png").write_bytes(photo)
        (folder / f"m{number}.png").write_bytes(mask)
        lines.append({"file_name": f"{number}.png", "mask_file_name": f"m{number}.png"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return str(folder)


def write_saved(folder):
    features = datasets.Features({"image": datasets.Image(), "mask": datasets.Image()})
    rows = [{"image": {"bytes": i}, "mask": {"bytes": m}} for i, m in images()]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(folder)
    return str(folder)


def write_shards(folder):
    with webdataset.TarWriter(str(folder / "train-000000.tar")) as tar:
        for number, (photo, mask) in enumerate(images()):
            tar.write({"__key__": f"{number:03}", "image.png": photo, "mask.png": mask})
    return str(folder / "train-000000.tar")


def convert(source, out, **options):
    options = {"steps": STEPS, "image_columns": "image,mask", "format": "png"} | options
    return wdsremux.convert(source, out, workers=1, progress="none", **options)


def sha256s(manifest):
    return [shard.sha256 for shard in manifest.shards]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    rows = [{"image": image, "mask": mask} for image, mask in images()]
    return folder / "out", convert(rows, folder / "out")


@pytest.mark.parametrize("write", [write_parquet, write_folder, write_saved, write_shards])
def test_every_kind_of_source_gives_the_same_images(tmp_path, expected, write):
    source = tmp_path / "in"
    source.mkdir()
    name = write(source)
    options = {"extra_columns": "", "label_column": ""}
    manifest = convert(name, tmp_path / "out", **options)
    assert sha256s(manifest) == sha256s(expected[1])
    # Any engine, and after a repair.
    again = convert(name, tmp_path / "processes", engine="processes", **options)
    assert sha256s(again) == sha256s(manifest)
    (tmp_path / "out/train-000000.tar").unlink()
    assert wdsremux.repair(tmp_path / "out", workers=0).remade == ("train-000000.tar",)
    assert wdsremux.verify(tmp_path / "out", "pixels").findings == ()


def test_a_shuffled_output_has_the_same_pairs(tmp_path, expected):
    def pairs(out):
        loaded = wdsremux.load(out, columns=("image", "mask"), decode="rgb")
        return sorted((image.tobytes(), mask.tobytes()) for image, mask in loaded)

    rows = [{"image": image, "mask": mask} for image, mask in images()]
    convert(rows, tmp_path / "plain", steps=[])
    convert(rows, tmp_path / "shuffled", steps=[], shuffle=1)
    assert pairs(tmp_path / "shuffled") == pairs(tmp_path / "plain")


def test_readers_agree_on_the_labels_of_every_mask(tmp_path, expected):
    out, _ = expected
    ours = [*wdsremux.load(out, columns=("key", "mask", "image"), decode="rgb")]
    assert {mask.dtype.name for _, mask, _ in ours} == {"uint16"}
    assert {mask.shape for _, mask, _ in ours} == {(32, 32)}

    web = webdataset_samples(out, "train-000000.tar")
    wids = wids_samples(out / "index.json", tmp_path)
    hub = datasets.load_dataset(str(out), split="train", streaming=True)
    found = zip(ours, web, wids, hub, strict=True)
    for (key, mask, image), from_web, from_wids, from_hub in found:
        assert key == from_web["__key__"] == from_wids["__key__"] == from_hub["__key__"]
        assert from_wids[".mask.png"] == from_web["mask.png"]
        for name, pixels in (("mask.png", mask), ("image.png", image)):
            assert np.array_equal(opened(from_web[name]), pixels)
            assert np.array_equal(np.asarray(from_hub[name]), pixels)


def test_batches_stack_images_and_masks(expected):
    batches = wdsremux.pipeline(
        expected[0], "train", batch_size=5, decode="rgb", columns=("image", "mask")
    )
    shapes = [(images.shape, masks.shape) for images, masks in batches]
    assert shapes[0] == ((5, 32, 32, 3), (5, 32, 32))
    everything = wdsremux.load(expected[0])[0]
    assert everything["image"].mode == "RGB"
    assert everything["mask"].mode == "I;16"
    assert "mask.png" not in everything


def test_the_preview_shows_the_mask_beside_its_image(tmp_path, expected):
    from wdsremux.dataset.sheets.preview import preview_output
    from wdsremux.dataset.sheets.sheet_html import sheet_html

    page = sheet_html(preview_output(str(expected[0]), 2))
    assert page.count("<b>packed</b>") == page.count("<b>packed: mask</b>") == 2
