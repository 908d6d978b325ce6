import pytest

from wdsremux.core.errors import SourceError, UsageError
from wdsremux.sources.parquet.layout import card_from_folder, layout_from_names


def splits(names, card=None, subset=None):
    return {s: list(f) for s, f in layout_from_names(names, card or {}, subset).splits.items()}


def test_sharded_names_define_the_splits_in_their_usual_order():
    names = [f"data/{s}-00000-of-00001.parquet" for s in ("zebra", "test", "train", "validation")]
    assert list(splits(names)) == ["train", "validation", "test", "zebra"]


def test_files_are_sorted_by_name():
    names = ["train-2.parquet", "train-10.parquet", "train-1.parquet"]
    assert splits(names) == {"train": ["train-1.parquet", "train-10.parquet", "train-2.parquet"]}


def test_folder_names_win_over_file_names():
    names = ["train/test-a.parquet", "val/b.parquet"]
    assert splits(names) == {"train": ["train/test-a.parquet"], "validation": ["val/b.parquet"]}


def test_names_without_a_split_are_train():
    assert splits(["b.parquet", "a/c.parquet"]) == {"train": ["a/c.parquet", "b.parquet"]}


def test_a_file_that_fits_two_patterns_of_a_split_is_read_once():
    assert splits(["train-training-.parquet"]) == {"train": ["train-training-.parquet"]}


def test_hidden_files_and_special_folders_are_left_out():
    names = [".cache/x.parquet", "__pycache__/x.parquet", ".x.parquet", "y.parquet"]
    assert splits(names) == {"train": ["y.parquet"]}


CARD = {
    "configs": [
        {"config_name": "small", "data_files": "s/*.parquet"},
        {
            "config_name": "big",
            "data_files": [
                {"split": "train", "path": ["b/2.parquet", "b/1.parquet"]},
                {"split": "dev", "path": "b/d*"},
            ],
        },
    ],
    "dataset_info": [
        {"config_name": "big", "features": [{"name": "label", "dtype": "int8"}]},
        {"config_name": "small", "features": [{"name": "label", "dtype": "int16"}]},
    ],
}
NAMES = ["s/a.parquet", "b/1.parquet", "b/2.parquet", "b/d.parquet"]


def test_the_card_names_the_files_of_a_subset():
    assert splits(NAMES, CARD, "small") == {"train": ["s/a.parquet"]}
    expected = {"train": ["b/2.parquet", "b/1.parquet"], "dev": ["b/d.parquet"]}
    assert splits(NAMES, CARD, "big") == expected
    assert layout_from_names(NAMES, CARD, "big").dtypes == {"label": "int8"}


def test_a_required_subset_is_requested():
    with pytest.raises(UsageError, match="several subsets: small, big; choose one with --subset"):
        splits(NAMES, CARD)


def test_an_unknown_subset_is_refused_with_the_existing_ones():
    with pytest.raises(UsageError, match="'huge': the source has the subsets small, big"):
        splits(NAMES, CARD, "huge")


def test_a_subset_marked_default_is_used():
    card = {"configs": [CARD["configs"][1], {**CARD["configs"][0], "default": True}]}
    assert splits(NAMES, card) == {"train": ["s/a.parquet"]}


def test_a_data_dir_is_searched_by_the_usual_rules():
    card = {"configs": [{"config_name": "x", "data_dir": "s"}]}
    names = ["s/test.1.parquet", "s/train.1.parquet"]
    assert splits([*NAMES[1:], *names], card) == {"train": names[1:], "test": names[:1]}


def test_a_split_keyword_in_only_some_files_is_not_a_split():
    names = ["bus/1.parquet", "car/1.parquet", "train/1.parquet"]
    assert splits(names) == {"train": names}
    assert splits(["a-test.parquet", "b.parquet"]) == {"train": ["a-test.parquet", "b.parquet"]}


def test_a_file_beside_several_splits_is_left_out():
    names = ["extra.parquet", "test.1.parquet", "train.1.parquet"]
    assert splits(names) == {"train": names[2:], "test": names[1:2]}


def test_a_file_named_by_the_card_must_exist():
    card = {"configs": [{"config_name": "x", "data_files": ["s/a.parquet", "s/gone.parquet"]}]}
    with pytest.raises(SourceError, match=r"'s/gone\.parquet'"):
        splits(NAMES, card)


def test_a_card_that_fits_no_file_is_an_error():
    card = {"configs": [{"config_name": "x", "data_files": "nothing/*"}]}
    with pytest.raises(SourceError, match=r"no \.parquet file fits"):
        splits(NAMES, card)


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("a/*.parquet", ["a/x.parquet"], ["a/b/x.parquet", "x.parquet"]),
        ("**/a/**", ["a/x.parquet", "b/a/c/x.parquet", "b/a/x.parquet"], ["ba/x.parquet"]),
        ("**", ["a.parquet", "a/b.parquet"], []),
        ("a-[0-9].parquet", ["a-3.parquet"], ["a-x.parquet", "a-33.parquet"]),
        ("a-[!0-9].parquet", ["a-x.parquet"], ["a-3.parquet"]),
        ("?.parquet", ["a.parquet"], ["ab.parquet"]),
        ("*", ["a.parquet"], ["a/b.parquet"]),
    ],
)
def test_globs_match_as_on_the_hub(pattern, fits, fits_not):
    card = {"configs": [{"config_name": "x", "data_files": pattern}]}
    assert splits([*fits, *fits_not], card) == {"train": fits}


def test_a_glob_that_is_not_valid_is_named():
    card = {"configs": [{"config_name": "x", "data_files": "a**b/*.parquet"}]}
    with pytest.raises(SourceError, match=r"'a\*\*b/\*\.parquet'.*fix the card"):
        splits(NAMES, card)


def test_a_broken_card_is_named(tmp_path):
    (tmp_path / "README.md").write_text("---\na: [\n---\n")
    with pytest.raises(SourceError, match=r"README\.md"):
        card_from_folder(tmp_path)


@pytest.mark.parametrize("text", ["", "# no head", "---\nnever ends", "---\n- a list\n---\n"])
def test_a_readme_without_front_matter_is_an_empty_card(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    assert card_from_folder(tmp_path) == {}
