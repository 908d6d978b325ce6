"""Sources that are objects of a program: `wdsremux.convert` from Python."""

import io

import datasets
import numpy as np
import pytest
from PIL import Image
from support.forms import NAMES, pictures
from support.runs import entries, manifest, rejected, samples

import wdsremux
from wdsremux.core.errors import RecipeMismatchError, SourceError, UsageError

pytestmark = [
    pytest.mark.integration,
    # webdataset and datasets leave their files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROWS = 300
FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=list(NAMES)),
        "text": datasets.Value("string"),
    }
)


@pytest.fixture(scope="module")
def form():
    return pictures(ROWS)


@pytest.fixture(scope="module")
def table(form):
    """Return a Dataset in memory."""
    images = [{"bytes": image, "path": None} for image in form.images]
    columns = {"image": images, "label": form.labels, "text": form.texts}
    return datasets.Dataset.from_dict(columns, features=FEATURES)


def rows_of(form):
    """Yield plain dicts."""
    for image, label, text in zip(form.images, form.labels, form.texts, strict=True):
        yield {"image": image, "label": label, "text": text}


def assert_holds(out, form, *, named=True):
    found = entries(out)
    assert [sample["jpg"] for sample in samples(out)] == form.images
    assert [entry["label"] for entry in found] == form.labels
    assert [entry["text"] for entry in found] == form.texts
    if named:
        assert [entry["label_name"] for entry in found] == [NAMES[n] for n in form.labels]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_in_memory(form, table, tmp_path, workers):
    found = wdsremux.convert(table, tmp_path / "out", workers=workers)
    assert found.totals.samples == ROWS
    assert found.head.class_names == NAMES
    assert_holds(tmp_path / "out", form)


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_a_dataset_in_files(form, table, tmp_path, engine):
    table.save_to_disk(tmp_path / "saved")
    loaded = datasets.load_from_disk(tmp_path / "saved")
    wdsremux.convert(loaded, tmp_path / "out", workers=2, engine=engine)
    assert_holds(tmp_path / "out", form)


def test_a_shuffled_dataset_in_its_own_order(form, table, tmp_path):
    wdsremux.convert(table.shuffle(seed=3), tmp_path / "out", workers=2)
    texts = [entry["text"] for entry in entries(tmp_path / "out")]
    assert texts != form.texts
    assert sorted(texts) == sorted(form.texts)


def test_an_iterable_dataset(form, table, tmp_path):
    found = wdsremux.convert(table.to_iterable_dataset(num_shards=3), tmp_path / "out", workers=2)
    assert found.totals.rows == ROWS
    assert_holds(tmp_path / "out", form)


def test_an_iterable_dataset_of_a_generator(form, tmp_path):
    stream = datasets.IterableDataset.from_generator(rows_of, gen_kwargs={"form": form})
    wdsremux.convert(stream, tmp_path / "out", workers=2)
    assert_holds(tmp_path / "out", form, named=False)


def test_a_dataset_dict(form, table, tmp_path):
    both = datasets.DatasetDict({"train": table, "test": table.select(range(20))})
    wdsremux.convert(both, tmp_path / "one")
    assert_holds(tmp_path / "one", form)
    found = wdsremux.convert(both, tmp_path / "all", split="all")
    assert {name: totals.samples for name, totals in found.splits.items()} == {
        "train": ROWS,
        "test": 20,
    }
    assert [sample["jpg"] for sample in samples(tmp_path / "all", "test")] == form.images[:20]


@pytest.mark.parametrize("make", [list, iter], ids=["list", "generator"])
@pytest.mark.parametrize("workers", [0, 2])
def test_dicts(form, tmp_path, make, workers):
    found = wdsremux.convert(make(list(rows_of(form))), tmp_path / "out", workers=workers)
    assert (found.totals.rows, found.totals.samples) == (ROWS, ROWS)
    assert_holds(tmp_path / "out", form, named=False)


def test_images_in_every_form_a_program_may_have(form, tmp_path):
    path = tmp_path / "0.jpg"
    path.write_bytes(form.images[0])
    picture = Image.open(path)
    rows = [
        {"image": image}
        for image in (
            form.images[0],
            bytearray(form.images[0]),
            {"bytes": form.images[0], "path": None},
            {"bytes": None, "path": str(path)},
            str(path),
            path,
            picture,
            np.asarray(picture),
            7,
        )
    ]
    wdsremux.convert(rows, tmp_path / "out", workers=0, max_errors="100%", image_column="image")
    assert len(samples(tmp_path / "out")) == 8
    (item,) = rejected(tmp_path / "out")
    assert (item["position"], item["stage"]) == (8, "read")
    assert "int" in item["reason"]


def darker(batch):
    return {**batch, "image": [image.point(lambda value: value // 2) for image in batch["image"]]}


def test_a_function_of_a_module_with_a_dataset(form, table, tmp_path):
    wdsremux.convert(table, tmp_path / "out", transform=darker, workers=2, limit=40, quality=100)
    assert_darker(tmp_path / "out", form)


def test_a_closure_with_a_generator(form, tmp_path):
    share = 2

    def closure(image):
        return image.point(lambda value: value // share)

    wdsremux.convert(
        rows_of(form),
        tmp_path / "out",
        transform=closure,
        transform_mode="image",
        workers=2,
        limit=40,
        quality=100,
    )
    assert_darker(tmp_path / "out", form)


class Sealed:
    """As an object of C without any attributes."""

    __slots__ = ()

    def __reduce__(self):
        raise TypeError("cannot be pickled")


def turning(angle):
    return lambda image: image.rotate(float(angle))


def test_a_function_with_another_numpy_scalar_is_another_function(form, tmp_path):
    options = {"transform_mode": "image", "workers": 0, "limit": 2}
    wdsremux.convert(rows_of(form), tmp_path, transform=turning(np.float32(0)), **options)
    assert manifest(tmp_path)["notes"] == []
    with pytest.raises(RecipeMismatchError, match=r"your function .* has changed since; "):
        wdsremux.convert(rows_of(form), tmp_path, transform=turning(np.float32(90)), **options)


def test_an_object_that_is_known_by_its_class_only_is_noted(form, tmp_path):
    sealed = Sealed()
    wdsremux.convert(
        rows_of(form),
        tmp_path,
        transform=lambda image: image if sealed else None,
        transform_mode="image",
        workers=0,
        limit=2,
    )
    (note,) = manifest(tmp_path)["notes"]
    assert f"{__name__}.Sealed: only the class of such an object" in note


def test_a_column_that_a_function_adds_is_packed(form, tmp_path):
    wdsremux.convert(
        rows_of(form),
        tmp_path,
        transform=lambda rows: rows | {"mean": [0] * len(rows["image"])},
        batch_size=20,
        workers=0,
        limit=60,
    )
    assert [entry["mean"] for entry in entries(tmp_path)] == [0] * 60


def test_a_function_of_images_adds_no_column(form, tmp_path):
    options = {"transform": lambda image: image, "transform_mode": "image", "workers": 0}
    with pytest.raises(UsageError, match="'mean:float64': not a column of the source"):
        wdsremux.convert(rows_of(form), tmp_path, extra_columns=["mean:float64"], **options)


def assert_darker(out, form):
    found = samples(out)
    assert len(found) == 40
    for sample, image in zip(found, form.images, strict=False):
        before, after = brightness(image), brightness(sample["jpg"])
        assert after == pytest.approx(before / 2, abs=2)


def brightness(data):

    return float(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).mean())


def test_steps_and_options_by_their_python_names(table, tmp_path):
    found = wdsremux.convert(
        table,
        tmp_path / "out",
        steps=["resize=16x16", "hflip=0.5"],
        max_shard_size="1MB",
        max_shard_samples=100,
        extra_columns=["text"],
        quality=80,
    )
    assert found.totals.shards == 3
    assert found.head.options["steps"] == ["resize=16x16", "hflip=0.5"]
    assert {(entry["width"], entry["height"]) for entry in entries(tmp_path / "out")} == {(16, 16)}


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        (7, UsageError, "int"),
        ([], SourceError, "is empty"),
        ([1, 2], SourceError, "row 0 is a int, not a dict"),
        ([{"n": 1}], UsageError, "no image column"),
    ],
)
def test_an_object_that_is_not_a_source_is_refused(tmp_path, source, error, says):
    with pytest.raises(error, match=says):
        wdsremux.convert(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_generator_that_fails_half_way_keeps_what_is_finished(form, tmp_path):
    def failing():
        for _ in range(3):
            yield from rows_of(form)
        raise OSError("the camera is gone")

    with pytest.raises(SourceError, match=r"row 900.*the camera is gone"):
        wdsremux.convert(failing(), tmp_path / "out", workers=0, max_shard_samples=50)
    found = samples(tmp_path / "out")
    assert [sample["jpg"] for sample in found] == (form.images * 3)[: len(found)]
    assert len(found) >= 500
    assert not (tmp_path / "out" / "index.json").exists()


def test_an_unknown_option_is_reported(table, tmp_path):
    with pytest.raises(UsageError, match="worker"):
        wdsremux.convert(table, tmp_path / "out", worker=3)


def test_the_returned_manifest_equals_the_file(table, tmp_path):
    found = wdsremux.convert(table, tmp_path / "out")
    assert manifest(tmp_path / "out") == found.to_json()
