"""Recipe and Run: options of any origin become checked, frozen values."""

import dataclasses

import pytest

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import ErrorLimit
from wdsremux.core.recipe import Recipe, Run


def test_without_options_the_defaults_apply():
    recipe = Recipe.from_options({})
    assert recipe == Recipe()
    assert (recipe.split, recipe.format, recipe.quality) == ("train", "jpeg", 90)
    assert (recipe.batch_size, recipe.copies, recipe.seed) == (256, 1, 42)
    assert recipe.max_shard_size is None
    assert recipe.matte == (255, 255, 255)
    assert Run.from_options({}).max_errors == ErrorLimit(percent=1.0)


def test_none_means_the_default():
    assert Recipe.from_options({"seed": None, "steps": None, "split": None}) == Recipe()


def test_strings_and_values_mean_the_same():
    as_texts = {
        "batch_size": "32",
        "max_shard_size": "1MiB",
        "extra_columns": "a,b",
        "steps": "resize=256",
        "matte": "black",
    }
    as_values = {
        "batch_size": 32,
        "max_shard_size": 2**20,
        "extra_columns": ["a", "b"],
        "steps": ["resize=256"],
        "matte": (0, 0, 0),
    }
    assert Recipe.from_options(as_texts) == Recipe.from_options(as_values)
    assert Recipe.from_options(as_values).extra_columns == ("a", "b")


def test_a_choice_of_digits_may_be_a_number():
    assert Recipe.from_options({"subsampling": 444}).subsampling == "444"


def test_an_unknown_option_is_refused_with_the_known_ones():
    with pytest.raises(
        UsageError, match=r"unknown option 'qualty'; the options are split, split_ratio"
    ):
        Recipe.from_options({"qualty": 90})


@pytest.mark.parametrize(
    ("kind", "name", "value", "text"),
    [
        (Recipe, "quality", 101, "--quality cannot be 101: write a whole number from 1 to 100"),
        (Recipe, "quality", 90.5, "--quality cannot be 90.5: write a whole number from 1 to 100"),
        (Recipe, "copies", 0, "--copies cannot be 0: write a whole number from 1 to 1000"),
        (Recipe, "limit", "all", "--limit cannot be 'all': write a whole number from 1"),
        (Recipe, "max_shard_size", "big", "--max-shard-size cannot be 'big': write a size"),
        (Recipe, "matte", [1, 2], "--matte cannot be [1, 2]: write three whole numbers"),
        (Recipe, "extra_columns", [1], "--extra-columns cannot be [1]: write names"),
        (Recipe, "steps", 5, "--step cannot be 5: write a string, or a list of strings"),
        (Recipe, "format", "tiff", "--format cannot be 'tiff'; choose jpeg, png, webp"),
        (Recipe, "format", ["jpeg"], "--format cannot be ['jpeg']; choose jpeg, png, webp"),
        (Recipe, "reencode", "no", "--reencode cannot be 'no': write true or false"),
        (Run, "overwrite", "false", "--overwrite cannot be 'false': write true or false"),
        (Run, "workers", -1, "--workers cannot be -1: write a whole number from 0"),
        (Run, "max_errors", "200%", "--max-errors cannot be '200%': write a number of rows"),
        (Run, "give_up_after", "never", "--give-up-after cannot be 'never': write seconds"),
    ],
)
def test_an_invalid_value_is_refused_by_the_name_of_its_flag(kind, name, value, text):
    with pytest.raises(UsageError) as caught:
        kind.from_options({name: value})
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("kind", [Recipe, Run])
def test_every_default_is_what_its_parser_returns(kind):
    for field in dataclasses.fields(kind):
        if field.default is not None:
            assert kind.from_options({field.name: field.default}) == kind(), field.name


@pytest.mark.parametrize("kind", [Recipe, Run])
def test_every_choice_of_an_option_is_accepted(kind):
    for field in dataclasses.fields(kind):
        for choice in field.metadata["choices"]:
            assert getattr(kind.from_options({field.name: choice}), field.name) == choice


def test_no_option_is_in_both_groups():
    assert not {f.name for f in dataclasses.fields(Recipe)} & {
        f.name for f in dataclasses.fields(Run)
    }


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().seed = 1


def test_a_shard_size_that_can_hold_no_sample_is_refused_at_once():
    with pytest.raises(
        UsageError, match=r"--max-shard-size cannot be '1': a tar file has at least"
    ):
        Recipe.from_options({"max_shard_size": "1"})
