"""Samples are counted by class, and an output that is sorted by class is reported."""

import pytest

from wdsremux.converting.class_counts import MAX_CLASSES, ClassCounter, class_text

NAMES = tuple(f"class {number:02d}" for number in range(20))
SORTED = [number // 100 for number in range(2000)]


def counted(labels, *, names=NAMES, batch=7):
    counter = ClassCounter(names)
    for start in range(0, len(labels), batch):
        counter.add("train", labels[start : start + batch])
    return counter


def remarks(labels, **options):
    return list(counted(labels, **options).remarks({"train"}))


def test_samples_are_counted_by_the_names_of_their_classes():
    found = counted([0, 2, 2, None, 77], names=("cats", "dogs", "birds")).by_split()
    assert found == {"train": {"cats": 1, "dogs": 0, "birds": 2, "no label": 1, "77": 1}}
    assert counted(["x", "y", "x"], names=None).by_split() == {"train": {"x": 2, "y": 1}}
    assert counted([None, None], names=None).by_split() == {}


@pytest.mark.parametrize("batch", [1, 7, 64, 999])
def test_a_split_in_the_order_of_its_classes_is_reported_with_what_to_do(batch):
    (text,) = remarks(SORTED, batch=batch)
    assert text == (
        "train is sorted by class: 64 samples in a row have 1.6 of 20 classes on average, in random "
        "order 19; loaders shuffle shards and a buffer only, so convert with --shuffle SEED into "
        "another OUT"
    )
    assert list(counted(SORTED).remarks(())) == []


def test_a_random_order_one_class_and_a_short_split_are_not_reported():
    shuffled = [SORTED[number * 1009 % 2000] for number in range(2000)]
    for labels in (shuffled, [3] * 2000, SORTED[500:1400], [*range(20)] * 100):
        assert remarks(labels) == []


@pytest.mark.parametrize("labels", [[0.5, 0.25], [[1], [2]], [*range(MAX_CLASSES + 1)]])
def test_labels_that_are_not_classes_are_not_counted(labels):
    counter = counted(labels, names=None, batch=1000)
    counter.add("train", [1, 1, 1])
    assert counter.by_split() == {}
    assert list(counter.remarks({"train"})) == []


def test_few_classes_are_listed_and_many_are_summed_up():
    assert class_text({"cats": 1200, "dogs": 3}) == "cats 1,200, dogs 3"
    many = {f"class {number}": number * 10 for number in range(12)}
    assert class_text(many) == (
        "12 classes, 1 of them without a sample, least 0 (class 0), most 110 (class 11)"
    )
