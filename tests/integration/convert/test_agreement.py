"""Random folders, zips, tables, Parquet files and tars: we read what `datasets.load_dataset` reads.

The documented differences: a split word is a split only when it fits most images and is not alone,
and names of splits are not classes. Names are chosen so that these do not occur, but for rows that
are announced as left out.
"""

import gc
import io
import tarfile
import zipfile
from pathlib import Path

import datasets
import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

from wdsremux.core.columns import Columns
from wdsremux.core.recipe import Recipe, Run
from wdsremux.sources.registry import parse

pytestmark = [
    pytest.mark.integration,
    # `datasets` leaves handles of its own to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

few = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

names = st.text("abc-é7", min_size=1, max_size=4).filter(lambda name: not name.startswith("-"))
SPLIT_NAMES = ("train", "test", "training", "val")
splits = st.sampled_from([(), ("train",), ("train", "test"), ("training", "val", "test")])
classes = st.lists(names, min_size=1, max_size=3, unique=True)


@pytest.fixture(autouse=True)
def caches(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    yield
    gc.collect()  # here, where the warning is expected


def png(number):
    file = io.BytesIO()
    Image.new("RGB", (1, 1), (number % 256, number // 256, 7)).save(file, "PNG")
    return file.getvalue()


@st.composite
def layouts(draw):
    """Return paths of images: splits, classes and names, each split with the same classes."""
    roots = [f"{split}/" for split in draw(splits)] or [""]
    folders = [f"{each}/" for each in draw(classes)] if draw(st.booleans()) else [""]
    files = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    return [f"{root}{folder}{name}.png" for root in roots for folder in folders for name in files]


def ours(location):
    """Return (images, labels by name) of each split as we read them."""
    source = parse(str(location), Recipe()).open(Recipe(), Run(give_up_after=30.0))
    label = next((c for c in source.features() if c.class_names), None)
    found = {}
    for split in source.splits():
        units = source.units(split, Columns("image", label, (), None), 0)
        records = [record for unit in units for record in unit.read(0, unit.rows)]
        assert not any(record.problem for record in records)
        values = [record.fields.get(label.name) if label else None for record in records]
        found[split] = [
            (record.image, None if value is None else label.class_names[value])
            for record, value in zip(records, values, strict=True)
        ]
    assert source.notes() == ()
    return found


def theirs(*arguments, **options):
    """Return the same as `load_dataset` reads it."""
    found = {}
    for split, stream in datasets.load_dataset(*arguments, streaming=True, **options).items():
        label = (stream.features or {}).get("label")
        rows = list(stream.decode(enable=False))
        found[str(split)] = [
            (stored(row["image"]), None if row.get("label") is None else label.names[row["label"]])
            for row in rows
        ]
    return found


def stored(image):
    if image["bytes"] is not None:
        return image["bytes"]
    member, is_zipped, file = image["path"].removeprefix("zip://").partition("::")
    return zipfile.ZipFile(file).read(member) if is_zipped else Path(image["path"]).read_bytes()


@few
@given(layouts())
def test_folders(tmp_path_factory, layout):
    root = tmp_path_factory.mktemp("folder")
    for number, name in enumerate(layout):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(number))
    expected = theirs("imagefolder", data_dir=str(root))
    found = ours(root)
    names_of_classes = {name for rows in expected.values() for _, name in rows} - {None}
    if names_of_classes <= {"train", "test", "training", "val"}:  # not classes for us
        expected = {s: [(image, None) for image, _ in rows] for s, rows in expected.items()}
    assert found == expected


@few
@given(layouts(), st.booleans())
def test_zips(tmp_path_factory, layout, is_compressed):
    root = tmp_path_factory.mktemp("zip")
    kind = zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED
    for number, name in enumerate(layout):
        split = name.partition("/")[0] if "/" in name else ""
        is_split = split in SPLIT_NAMES
        path = root / (f"{split}.zip" if is_split else "all-images.zip")
        inner = name.partition("/")[2] if is_split else name
        with zipfile.ZipFile(path, "a", kind) as archive:
            archive.writestr(inner, png(number))
    found = ours(root)
    # `datasets` 5 fails on labels in streamed zips: their folders are compared with ours.
    expected = theirs("imagefolder", data_dir=str(root), drop_labels=True)
    assert {split: [image for image, _ in rows] for split, rows in found.items()} == {
        split: [image for image, _ in rows] for split, rows in expected.items()
    }
    folders = {name.rpartition("/")[0].rpartition("/")[2] for name in layout} - {"", *SPLIT_NAMES}
    labels = {png(n): name.rpartition("/")[0].rpartition("/")[2] for n, name in enumerate(layout)}
    for rows in found.values():
        wanted = [labels[image] if len(folders) > 1 else None for image, _ in rows]
        assert [name for _, name in rows] == wanted


@few
@given(
    st.lists(st.lists(st.sampled_from("xyz"), min_size=1, max_size=4), min_size=1, max_size=3),
    splits,
)
def test_parquet(tmp_path_factory, files, split_names):
    root = tmp_path_factory.mktemp("parquet")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list("xyz"))}
    )
    for split in split_names or ("all",):
        for number, labels in enumerate(files):
            images = [{"bytes": png(number * 9 + i), "path": None} for i in range(len(labels))]
            columns = {"image": images, "label": list(map("xyz".index, labels))}
            table = pa.table(columns, features.arrow_schema)
            pq.write_table(table, root / f"{split}-{number:05}-of-00009.parquet")
    assert ours(root) == theirs(str(root))


@few
@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_tars(tmp_path_factory, has_text):
    root = tmp_path_factory.mktemp("tar")
    with tarfile.open(root / "a.tar", "w") as tar:
        for number, _ in enumerate(has_text):
            for suffix, data in (("png", png(number)), ("txt", b"words")):
                info = tarfile.TarInfo(f"{number:03}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    found = [image for image, _ in ours(root)["train"]]
    stream = datasets.load_dataset("webdataset", data_dir=str(root), split="train", streaming=True)
    assert found == [row["png"]["bytes"] for row in stream.decode(enable=False)]
