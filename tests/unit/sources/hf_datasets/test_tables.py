import io
import pickle

import datasets
import numpy as np
import pytest
from PIL import Image

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError, UsageError
from wdsremux.sources.hf_datasets.table_unit import TableUnit
from wdsremux.sources.hf_datasets.tables import open_dataset, open_saved
from wdsremux.sources.rows.unit import StreamUnit

FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog", "bird"]),
        "text": datasets.Value("string"),
    }
)


def jpeg(number):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 0)).save(file, "JPEG")
    return file.getvalue()


def rows_of(count, first=0):
    for number in range(first, first + count):
        yield {
            "image": {"bytes": jpeg(number), "path": None},
            "label": number % 3,
            "text": f"row {number}",
        }


def table_of(count, first=0, split=None):
    rows = list(rows_of(count, first))
    columns = {name: [row[name] for row in rows] for name in FEATURES}
    return datasets.Dataset.from_dict(columns, features=FEATURES, split=split)


def all_columns(source):
    return Columns("image", None, tuple(c for c in source.features() if c.dtype != "image"), None)


def units(source, split="train", start=0):
    return list(source.units(split, all_columns(source), start))


def records(source, split="train", start=0):
    found = [record for unit in units(source, split, start) for record in unit.read(0, unit.rows)]
    return [record for record in found if record.position >= start]


def assert_rows(found, first, stop, shift=0):
    assert [record.position for record in found] == list(range(first, stop))
    for number, record in enumerate(found, first + shift):
        assert record.image == jpeg(number)
        assert record.fields == {"label": number % 3, "text": f"row {number}"}


@pytest.fixture
def on_disk(tmp_path):
    """A Dataset whose rows lie in files."""
    table_of(600).save_to_disk(tmp_path / "saved")
    return datasets.load_from_disk(tmp_path / "saved")


@pytest.fixture(autouse=True)
def no_decoding(monkeypatch):
    def fail(*_args, **_kwargs):
        raise AssertionError("an image was decoded by the caller")

    monkeypatch.setattr(datasets.Image, "decode_example", fail)


@pytest.mark.parametrize("start", [0, 1, 255, 256, 599])
def test_a_dataset_in_memory_is_pickled_with_its_rows(start):
    source = open_dataset(table_of(600))
    assert all(isinstance(unit, StreamUnit) for unit in units(source))
    assert_rows(records(source, start=start), start, 600)


@pytest.mark.parametrize("start", [0, 1, 255, 256, 599])
def test_a_dataset_on_disk_is_opened_by_the_workers(on_disk, start):
    source = open_dataset(on_disk)
    found = units(source, start=start)
    assert all(isinstance(unit, TableUnit) and unit.rows <= 256 for unit in found)
    assert found[0].first <= start < found[0].first + found[0].rows
    assert_rows(records(source, start=start), start, 600)


def test_a_unit_of_a_dataset_on_disk_pickles_small_and_reads_any_part(on_disk):
    unit = units(open_dataset(on_disk))[1]
    copy = pickle.loads(pickle.dumps(unit))
    assert len(pickle.dumps(unit)) < 4000
    assert_rows(list(copy.read(7, 40)), 263, 296)
    assert unit.size_bytes > 256 * 600


def test_a_shuffled_dataset_keeps_its_own_order(on_disk):
    shuffled = on_disk.shuffle(seed=1)
    texts = [record.fields["text"] for record in records(open_dataset(shuffled))]
    assert texts == shuffled["text"][:]
    assert texts != on_disk["text"][:]


def test_a_table_with_a_large_pickle_is_sent_as_rows(on_disk):
    order = np.random.default_rng(0).integers(0, 600, 20_000)
    source = open_dataset(on_disk.select(order, keep_in_memory=True))
    assert not source.handles
    unit = next(source.units("train", all_columns(source), 0))
    assert [r.fields["text"] for r in unit.read(0, 3)] == [f"row {i}" for i in order[:3]]


def test_columns_are_those_of_the_features():
    assert open_dataset(table_of(3)).features() == (
        Column("image", "image"),
        Column("label", {"class_label": ["cat", "dog", "bird"]}),
        Column("text", "string"),
    )


def test_splits_are_those_of_a_dict_or_of_the_dataset():
    both = datasets.DatasetDict({"train": table_of(5), "test": table_of(3, 100)})
    source = open_dataset(both)
    assert source.splits() == {"train": 5, "test": 3}
    assert_rows(records(source, "test"), 0, 3, shift=100)
    assert open_dataset(table_of(2, split="validation")).splits() == {"validation": 2}
    assert open_dataset(table_of(9, split="train[:10%]")).splits() == {"train": 9}
    with pytest.raises(SourceError, match=r"'dev'.*train, test; name one"):
        records(source, "dev")


def test_a_dataset_without_its_own_format_is_read_whatever_format_was_set(on_disk):
    source = open_dataset(on_disk.with_format("numpy", columns=["label"]))
    assert_rows(records(source), 0, 600)


def test_a_transform_set_on_the_dataset_is_refused_instead_of_lost():
    with pytest.raises(UsageError, match="transform="):
        open_dataset(table_of(3).with_transform(lambda batch: batch))


def test_a_row_that_only_names_its_image_is_read_in_the_worker(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    images = [{"bytes": None, "path": str(tmp_path / n)} for n in ("a.jpg", "b.jpg")] + [None]
    features = datasets.Features({"image": datasets.Image()})
    source = open_dataset(datasets.Dataset.from_dict({"image": images}, features=features))
    named, missing, none = records(source)
    assert named.image == jpeg(1)
    assert "does not exist" in missing.problem
    assert (none.image, none.problem) == (None, None)


def test_different_datasets_have_different_identities():
    one, same, other = table_of(3), table_of(3), table_of(3, 1)
    assert open_dataset(one).identity() == open_dataset(same).identity()
    assert open_dataset(one).identity() != open_dataset(other).identity()


@pytest.mark.parametrize("start", [0, 5, 256, 299])
def test_an_iterable_dataset_is_read_in_order_from_any_start(start):
    stream = table_of(300).to_iterable_dataset(num_shards=3)
    source = open_dataset(stream)
    assert source.splits() == {"train": None}
    assert source.features()[1].class_names == ("cat", "dog", "bird")
    assert_rows(records(source, start=start), start, 300)


def test_an_iterable_dataset_of_a_generator_needs_no_features():
    def rows():
        for number in range(5):
            yield {"image": Image.new("L", (2, 2), number), "n": number}

    source = open_dataset(datasets.IterableDataset.from_generator(rows))
    assert source.features() == (Column("image", "image"), Column("n", "int64"))
    found = records(source)
    assert [record.fields["n"] for record in found] == [0, 1, 2, 3, 4]
    assert found[3].image.startswith(b"\x89PNG")


def test_splits_of_iterable_datasets_are_kept():
    streams = datasets.IterableDatasetDict(
        {"train": table_of(4).to_iterable_dataset(), "test": table_of(2, 50).to_iterable_dataset()}
    )
    source = open_dataset(streams)
    assert source.splits() == {"train": None, "test": None}
    assert_rows(records(source, "test"), 0, 2, shift=50)
    with pytest.raises(SourceError, match=r"'dev'.*train, test; name one"):
        records(source, "dev")


def test_different_iterable_datasets_have_different_identities():
    one, same, other = (table_of(20, first).to_iterable_dataset() for first in (0, 0, 1))
    identity = open_dataset(one).identity()
    assert (identity["kind"], identity["resumable"]) == ("iterable", False)
    source = open_dataset(same)
    assert source.identity() == identity
    assert_rows(records(source), 0, 20)
    assert open_dataset(other).identity() != identity


def test_a_stream_that_fails_names_the_row():
    def rows():
        yield from rows_of(3)
        raise KeyError("lost")

    stream = datasets.IterableDataset.from_generator(rows, features=FEATURES)
    with pytest.raises(SourceError, match=r"row 3.*lost"):
        records(open_dataset(stream))


def test_another_object_of_datasets_is_refused():
    with pytest.raises(UsageError, match="Features"):
        open_dataset(FEATURES)


@pytest.mark.parametrize("start", [0, 257])
def test_a_saved_dataset_is_opened_by_the_workers(tmp_path, start):
    table_of(300).save_to_disk(tmp_path / "s", num_shards=3)
    source = open_saved(tmp_path / "s")
    assert source.splits() == {"train": 300}
    assert all(len(pickle.dumps(unit)) < 2000 for unit in units(source))
    assert_rows(records(source, start=start), start, 300)


def test_a_saved_dict_keeps_its_splits(tmp_path):
    both = datasets.DatasetDict({"train": table_of(5), "test": table_of(3, 100)})
    both.save_to_disk(tmp_path / "s")
    source = open_saved(tmp_path / "s")
    assert source.splits() == {"train": 5, "test": 3}
    assert_rows(records(source, "test"), 0, 3, shift=100)


def test_the_identity_of_a_saved_dataset_is_its_files_and_state(tmp_path):
    table_of(5).save_to_disk(tmp_path / "s")
    identity = open_saved(tmp_path / "s").identity()
    assert [file["name"] for file in identity["files"]] == ["data-00000-of-00001.arrow"]
    assert identity == open_saved(tmp_path / "s").identity()
    assert str(tmp_path) not in str(identity)
    table_of(5, 1).save_to_disk(tmp_path / "t")
    assert open_saved(tmp_path / "t").identity() != identity


def test_a_rewritten_folder_is_read_again(tmp_path):
    for first in (0, 100):
        table_of(5, first).save_to_disk(tmp_path / "s")
        assert_rows(records(open_saved(tmp_path / "s")), 0, 5, shift=first)


def test_a_folder_that_is_overwritten_during_a_run_is_noticed(tmp_path):
    table_of(5).save_to_disk(tmp_path / "s")
    source = open_saved(tmp_path / "s")
    table_of(5, 100).save_to_disk(tmp_path / "s")
    with pytest.raises(SourceError, match="'s' was overwritten during the run"):
        records(source)


def test_a_saved_dataset_names_no_file_outside_of_its_folder(tmp_path):
    for place in (tmp_path, tmp_path / "s"):
        place.mkdir(exist_ok=True)
        (place / "a.jpg").write_bytes(jpeg(1))
    names = [str(tmp_path / "a.jpg"), "../a.jpg", str(tmp_path / "s/a.jpg"), "a.jpg"]
    datasets.Dataset.from_dict({"image": names}).save_to_disk(tmp_path / "s")
    source = open_saved(tmp_path / "s")
    outside, above, inside, relative = (
        record
        for unit in source.units("train", Columns("image", None, (), None), 0)
        for record in unit.read(0, unit.rows)
    )
    assert "outside of the dataset" in outside.problem
    assert "--image-root" in above.problem
    assert (outside.image, above.image) == (None, None)
    assert inside.image == relative.image == jpeg(1)


def test_the_user_may_name_the_folder_of_a_saved_datasets_images(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    table = datasets.Dataset.from_dict({"image": [str(tmp_path / "a.jpg"), "a.jpg", "s/b.jpg"]})
    table.save_to_disk(tmp_path / "s")
    (unit,) = open_saved(tmp_path / "s", tmp_path).units(
        "train", Columns("image", None, (), None), 0
    )
    full, relative, missing = unit.read(0, 3)
    assert full.image == relative.image == jpeg(1)
    assert "does not exist" in missing.problem


def test_a_folder_that_was_not_saved_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"save_to_disk.*check the path"):
        open_saved(tmp_path)
