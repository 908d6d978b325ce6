import hashlib
import io
import pickle
from collections import Counter

import pytest
from PIL import Image

from wdsremux.core.columns import Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.demo import CLASSES, open_demo


def all_columns():
    _, label, photo = open_demo().features()
    return Columns("image", label, (photo,), None)


def records(split, start=0):
    units = open_demo().units(split, all_columns(), start)
    found = [record for unit in units for record in unit.read(0, unit.rows)]
    return [record for record in found if record.position >= start]


@pytest.fixture(scope="module")
def whole():
    return {split: records(split) for split in open_demo().splits()}


def test_there_are_270_images_to_train_and_30_to_validate(whole):
    assert {split: len(found) for split, found in whole.items()} == open_demo().splits()
    assert open_demo().splits() == {"train": 270, "validation": 30}


def test_the_classes_are_even_and_every_photo_is_used(whole):
    for found in whole.values():
        labels = Counter(record.fields["label"] for record in found)
        assert set(labels) == set(range(5))
        assert len(set(labels.values())) == 1
    photos = {record.fields["photo"] for record in whole["train"]}
    assert photos == {photo for photos in CLASSES.values() for photo in photos}


def test_labels_fit_the_photos(whole):
    names = open_demo().features()[1].class_names
    for record in whole["validation"]:
        assert record.fields["photo"] in CLASSES[names[record.fields["label"]]]


def test_images_are_jpegs_of_moderate_size_and_all_differ(whole):
    found = [record.image for records in whole.values() for record in records]
    assert len({hashlib.sha256(image).digest() for image in found}) == 300
    for data in found[:20]:
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "JPEG"
            assert all(320 <= side <= 500 for side in image.size)


@pytest.mark.parametrize("start", [0, 1, 45, 200, 269])
def test_units_cover_every_image_once_from_any_start(whole, start):
    assert records("train", start) == whole["train"][start:]
    first = next(open_demo().units("train", all_columns(), start))
    assert first.first <= start < first.first + first.rows


def test_a_unit_pickles_small_and_reads_the_same_again(whole):
    unit = next(open_demo().units("validation", all_columns(), 0))
    copy = pickle.loads(pickle.dumps(unit))
    assert len(pickle.dumps(unit)) < 500
    assert list(copy.read(3, 5)) == whole["validation"][3:5]


def test_an_unknown_split_is_named_with_those_there_are():
    with pytest.raises(SourceError, match=r"'test'.*train, validation; name one"):
        next(open_demo().units("test", all_columns(), 0))
