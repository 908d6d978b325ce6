import pytest

from wdsremux.sources.split_rules import (
    SplitRank,
    file_ranks,
    folder_ranks,
    numbered_ranks,
    ordered,
    split_of_file,
)


@pytest.mark.parametrize(
    ("folder", "splits"),
    [
        ("", []),
        ("train", ["train"]),
        ("a/training/b", ["train"]),
        ("my-val", ["validation"]),
        ("dev_2", ["validation"]),
        ("x test y", ["test"]),
        ("eval3", ["test"]),
        ("train/dev", ["train", "validation"]),
        ("Train", ["train"]),
        ("x/TEST/Cat", ["test"]),
        ("trainer", []),
        ("contest", []),
    ],
)
def test_a_folder_is_a_split_when_a_name_on_its_path_is_a_keyword_of_its_own(folder, splits):
    assert [place.split for place in folder_ranks(folder)] == splits


def test_a_folder_of_two_keywords_of_a_split_has_one_rank():
    assert folder_ranks("train/train_a") == (SplitRank("train", 0),)


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("train.png", ["train"]),
        ("x-test.png", ["test"]),
        ("test-set-train-0.tar", ["train", "test"]),
        ("png", []),
    ],
)
def test_a_file_name_is_a_split_when_it_contains_a_keyword_as_a_word(name, splits):
    assert [place.split for place in file_ranks(name)] == splits


def test_numbered_files_in_data_may_name_any_split():
    assert numbered_ranks("data", "foo.x-00000-of-00002.png") == (SplitRank("foo.x", 0),)
    assert numbered_ranks("", "foo-00000-of-00002.png") == ()
    assert numbered_ranks("data", "foo-0000-of-00002.png") == ()


def test_splits_come_in_the_usual_order_and_then_by_name():
    assert ordered(["z", "test", "a", "train", "validation"]) == [
        "train",
        "validation",
        "test",
        "a",
        "z",
    ]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-000000.tar", "train"),
        ("validation-c0-000000.tar", "validation"),
        ("test-set-train-000000.tar", "test"),
        ("evaluation-0.tar", "test"),
        ("shard-000000.tar", None),
        ("training1.tar", "train"),
    ],
)
def test_a_shard_belongs_to_the_first_split_in_its_name(name, split):
    assert split_of_file(name) == split
