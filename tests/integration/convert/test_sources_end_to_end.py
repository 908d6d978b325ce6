"""Every form of SOURCE on this machine, through the installed command."""

import datasets
import pytest
from support import runs
from support.corpora import CLASS_NAMES, jpeg, write_parquet_dataset, write_table
from support.forked_runs import convert
from support.forms import (
    NAMES,
    write_class_folders,
    write_path_parquet,
    write_plain_parquet,
    write_table_beside_images,
    write_tars,
    write_with_metadata,
    write_zip,
)
from support.runs import entries, manifest, rejected, samples, shards

pytestmark = [
    pytest.mark.integration,
    # webdataset and datasets leave their files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def assert_holds(out, form, *, text=None):
    """Demand the images as they were stored, the labels and the strings of a form, in order."""
    found = entries(out)
    assert [sample["jpg"] for sample in samples(out)] == form.images
    assert [entry["label"] for entry in found] == form.labels
    assert [entry["position"] for entry in found] == list(range(len(form.images)))
    if text:
        assert [entry[text] for entry in found] == form.texts


def test_parquet_with_image_structs(tmp_path):
    corpus = write_parquet_dataset(tmp_path / "in", rows=30)
    sources = (corpus.folder, corpus.folder / "data", f"{corpus.folder}/data/*.parquet")
    for number, source in enumerate(sources):
        out = tmp_path / str(number)
        convert(source, out)
        assert [sample["jpg"] for sample in samples(out)] == corpus.images
        found = entries(out)
        assert [entry["label"] for entry in found] == corpus.labels
        assert [entry["label_name"] for entry in found] == [CLASS_NAMES[n] for n in corpus.labels]
        assert [entry["caption"] for entry in found] == corpus.captions


def test_parquet_with_plain_bytes(tmp_path):
    form = write_plain_parquet(tmp_path / "in")
    convert(form.folder, tmp_path / "out")
    assert_holds(tmp_path / "out", form, text="text")


def test_one_parquet_file_is_a_source(tmp_path):
    form = write_plain_parquet(tmp_path / "in")
    convert(form.folder / "train.parquet", tmp_path / "out")
    assert_holds(tmp_path / "out", form, text="text")


def test_parquet_that_names_images_beside_it(tmp_path):
    form = write_path_parquet(tmp_path / "in", tmp_path / "in")
    convert(form.folder, tmp_path / "out")
    assert_holds(tmp_path / "out", form, text="text")


def test_parquet_that_names_images_elsewhere_needs_the_image_root(tmp_path):
    form = write_path_parquet(tmp_path / "in", tmp_path / "elsewhere")
    done = convert(form.folder, tmp_path / "no", "--image-column", "image", code=6)
    assert "--image-root" in done.stderr
    convert(form.folder, tmp_path / "out", "--image-root", tmp_path / "elsewhere")
    assert_holds(tmp_path / "out", form, text="text")


def test_a_path_that_leaves_the_image_root_is_rejected(tmp_path):
    form = write_path_parquet(tmp_path / "in", tmp_path / "in")
    (tmp_path / "secret.jpg").write_bytes(form.images[0])
    names = ["000.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "001.jpg"]
    write_table(form.folder / "train.parquet", {"image": names})
    convert(form.folder, tmp_path / "out", "--max-errors", "100%")
    assert [sample["jpg"] for sample in samples(tmp_path / "out")] == form.images[:2]
    assert [item["position"] for item in rejected(tmp_path / "out")] == [1, 2]
    assert all("is outside of its folder" in item["reason"] for item in rejected(tmp_path / "out"))


def saved_table(form_or_corpus):
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(NAMES)),
            "text": datasets.Value("string"),
        }
    )
    images = [{"bytes": image, "path": None} for image in form_or_corpus.images]
    columns = {"image": images, "label": form_or_corpus.labels, "text": form_or_corpus.texts}
    return datasets.Dataset.from_dict(columns, features=features)


def test_a_folder_of_save_to_disk(tmp_path):
    form = write_plain_parquet(tmp_path / "in")
    table = saved_table(form)
    table.save_to_disk(tmp_path / "one")
    convert(tmp_path / "one", tmp_path / "out")
    assert_holds(tmp_path / "out", form, text="text")
    both = datasets.DatasetDict({"train": table, "test": table.select(range(3))})
    both.save_to_disk(tmp_path / "dict")
    convert(tmp_path / "dict", tmp_path / "both", "--split", "all")
    assert_holds(tmp_path / "both", form, text="text")
    assert len(samples(tmp_path / "both", "test")) == 3
    assert manifest(tmp_path / "both")["class_names"] == list(NAMES)


def test_a_folder_of_class_folders(tmp_path):
    form = write_class_folders(tmp_path / "in")
    convert(form.folder, tmp_path / "out")
    assert_holds(tmp_path / "out", form)
    assert [entry["label_name"] for entry in entries(tmp_path / "out")] == [
        NAMES[label] for label in form.labels
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_folder_of_images_with_metadata(tmp_path, kind):
    form = write_with_metadata(tmp_path / "in", kind=kind)
    convert(form.folder, tmp_path / "out")
    assert_holds(tmp_path / "out", form, text="text")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_table_beside_images(tmp_path, kind):
    form = write_table_beside_images(tmp_path / "in", kind=kind)
    convert(form.folder, tmp_path / "out")
    assert_holds(tmp_path / "out", form, text="text")
    convert(form.folder / f"train.{kind}", tmp_path / "file")
    assert_holds(tmp_path / "file", form, text="text")


def test_a_folder_with_a_zip_of_class_folders(tmp_path):
    form = write_zip(tmp_path / "in")
    convert(form.folder, tmp_path / "out")
    assert_holds(tmp_path / "out", form)


@pytest.mark.parametrize("pattern", ["", "/*.tar", "/train-{000000..000001}.tar"])
def test_tars_by_folder_glob_and_braces(tmp_path, pattern):
    form = write_tars(tmp_path / "in")
    convert(f"{form.folder}{pattern}", tmp_path / "out")
    assert_holds(tmp_path / "out", form, text="txt")
    found = entries(tmp_path / "out")
    assert [entry["source_key"] for entry in found] == [f"sample{i:03}" for i in range(8)]


def test_the_keys_of_tars_can_be_kept(tmp_path):
    form = write_tars(tmp_path / "in")
    convert(form.folder, tmp_path / "out", "--key-column", "key")
    keys = [sample["__key__"] for sample in samples(tmp_path / "out")]
    assert keys == [f"sample{i:03}" for i in range(8)]


def test_shards_of_wdsremux_are_remuxed_with_labels_names_and_extra_fields(tmp_path):
    corpus = write_parquet_dataset(tmp_path / "in", rows=30)
    convert(corpus.folder, tmp_path / "once")
    convert(tmp_path / "once", tmp_path / "twice", "--max-shard-samples", 7)
    assert len(shards(tmp_path / "twice")) == 5
    assert [sample["jpg"] for sample in samples(tmp_path / "twice")] == corpus.images
    first, second = entries(tmp_path / "once"), entries(tmp_path / "twice")
    for name in ("label", "label_name", "caption", "width", "height", "position"):
        assert [entry[name] for entry in second] == [entry[name] for entry in first]
    assert manifest(tmp_path / "twice")["class_names"] == list(CLASS_NAMES)


def test_the_demo(tmp_path):
    convert("demo:", tmp_path / "out")
    assert manifest(tmp_path / "out")["totals"]["rows"] == 270
    assert len({entry["label_name"] for entry in entries(tmp_path / "out")}) == 5


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("no-such-thing", "'no-such-thing' is not a file, a folder"),
        ("x/*.jpg", "a pattern must end in .tar or .parquet; for images, pass their folder"),
        ("empty", "empty"),
        ("nothing-*.tar", "nothing-*.tar"),
        ("nothing-*.parquet", "nothing-*.parquet"),
    ],
)
def test_a_missing_source_is_reported(tmp_path, source, says):
    (tmp_path / "empty").mkdir()
    done = convert(source, tmp_path / "out", code=3, cwd=tmp_path)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("write", [write_class_folders, write_tars, write_plain_parquet])
def test_a_missing_split_is_reported_with_the_existing_ones(tmp_path, write):
    form = write(tmp_path / "in")
    done = convert(form.folder, tmp_path / "out", "--split", "dev", code=2)
    assert "'dev'" in done.stderr
    assert "train" in done.stderr


def test_a_forced_kind_is_used(tmp_path):
    form = write_class_folders(tmp_path / "in")
    convert(form.folder, tmp_path / "out", "--source-kind", "loadable")
    assert_holds(tmp_path / "out", form)
    assert manifest(tmp_path / "out")["source"]["kind"] == "loadable"


def test_a_folder_beside_the_function_shadows_no_library(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("")
    (tmp_path / "f.py").write_text("def same(image):\n    return image\n")
    source = datasets.Dataset.from_dict({"image": [jpeg(1)]}).cast_column("image", datasets.Image())
    source.save_to_disk(tmp_path / "in")
    arguments = (
        "--transform",
        f"{tmp_path}/f.py:same",
        "--transform-mode",
        "image",
        "--workers",
        1,
    )
    runs.convert(tmp_path / "in", tmp_path / "out", *arguments)
