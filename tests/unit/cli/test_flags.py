"""Flags and the TOML file: made from the fields of Recipe and Run, flags before file."""

import argparse
import dataclasses
import os

import pytest

from wdsremux.cli.flags import (
    add_options,
    default_text,
    field_docs,
    flag_of,
    options_from_file,
    options_given,
)
from wdsremux.core import recipe as recipe_module
from wdsremux.core.errors import UsageError
from wdsremux.core.recipe import Recipe, Run

FIELDS = [field for kind in (Recipe, Run) for field in dataclasses.fields(kind)]


def parser():
    made = argparse.ArgumentParser(prog="wdsremux", allow_abbrev=False)
    add_options(made, every=True)
    return made


def given(*arguments, file=None):
    """Return (options of the recipe, options of the run) of a command line."""
    return options_given(parser().parse_args(arguments), file or {})


def made(*arguments, file=None):
    """Return the Recipe and the Run of a command line."""
    recipe_options, run_options = given(*arguments, file=file)
    return Recipe.from_options(recipe_options), Run.from_options(run_options)


def toml(folder, text):
    path = folder / "options.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_without_flags_no_option_is_set():
    assert given() == ({}, {})
    assert made() == (Recipe(), Run())


def test_every_field_has_a_flag_with_help():
    text = parser().format_help()
    docs = field_docs(recipe_module)
    for field in FIELDS:
        assert f"{flag_of(field)} " in text or f"{flag_of(field)}\n" in text, field.name
        assert docs[field.name], field.name


def test_the_help_shows_every_default_as_a_user_would_write_it():
    text = " ".join(parser().format_help().split())
    for field in FIELDS:
        if default_text(field):
            assert f"(default {default_text(field)})" in text, field.name
    assert "(default 1%)" in text
    assert "by default 512MB" in text
    assert "(default white)" in text
    assert "object at" not in text


@pytest.mark.parametrize("kind", [Recipe, Run])
def test_every_default_in_the_help_parses_to_the_default(kind):
    for field in dataclasses.fields(kind):
        text = default_text(field)
        if text:
            assert kind.from_options({field.name: text}) == kind(), field.name


def test_a_flag_sets_its_field():
    recipe, run = made("--max-shard-size", "1MiB", "--extra-columns", "a,b", "--workers", "0")
    assert (recipe.max_shard_size, recipe.extra_columns, run.workers) == (2**20, ("a", "b"), 0)


def test_options_are_grouped_by_what_they_affect():
    assert given("--seed", "7", "--workers", "2") == ({"seed": "7"}, {"workers": "2"})


def test_a_flag_that_may_be_repeated_is_collected_in_order():
    assert given("--step", "resize=256", "--step", "hflip")[0] == {"steps": ["resize=256", "hflip"]}
    assert made("--step", "resize=256", "--step", "hflip")[0].steps == ("resize=256", "hflip")


def test_a_repeated_flag_starts_empty_on_every_command_line():
    same = parser()
    for _ in range(2):
        assert options_given(same.parse_args(["--step", "hflip"]), {})[0] == {"steps": ["hflip"]}


def test_the_last_value_of_any_other_repeated_flag_counts():
    assert made("--seed", "1", "--seed", "2")[0].seed == 2


def test_a_switch_can_be_turned_on_and_off():
    assert made("--overwrite")[1].overwrite is True
    assert made("--overwrite", "--no-overwrite")[1].overwrite is False
    assert made("--no-reencode", file={"reencode": True})[0].reencode is False


def test_an_empty_string_is_a_value():
    recipe, _ = made("--extra-columns", "", "--label-column", "")
    assert (recipe.extra_columns, recipe.label_column) == ((), "")


@pytest.mark.parametrize(
    "arguments",
    [["--qualty", "90"], ["--format", "tiff"], ["--qual", "90"], ["--workers"], ["--overwrite=no"]],
)
def test_an_invalid_flag_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(arguments)
    assert caught.value.code == 2
    assert arguments[0].split("=")[0] in capsys.readouterr().err


def test_a_file_sets_options_by_the_names_of_their_flags(tmp_path):
    path = toml(
        tmp_path,
        """
        max-shard-size = "64MB"
        batch_size = 32
        step = ["resize=256", "hflip"]
        extra-columns = ["a", "b"]
        matte = [0, 0, 0]
        reencode = true
        workers = 0
        max-errors = "5%"
        """,
    )
    recipe, run = made(file=options_from_file(path))
    assert recipe == Recipe(
        max_shard_size=64 * 10**6,
        batch_size=32,
        steps=("resize=256", "hflip"),
        extra_columns=("a", "b"),
        matte=(0, 0, 0),
        reencode=True,
    )
    assert (run.workers, run.max_errors.percent) == (0, 5.0)


def test_without_a_file_no_option_is_set():
    assert options_from_file(None) == {}


def test_flags_win_over_the_file(tmp_path):
    file = options_from_file(toml(tmp_path, 'quality = 50\nseed = 7\nstep = ["hflip"]'))
    recipe, _ = made("--quality", "80", "--step", "vflip", file=file)
    assert (recipe.quality, recipe.seed, recipe.steps) == (80, 7, ("vflip",))


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("qualty", "; did you mean quality?"),
        ("config", ""),
        ("source", "; did you mean source-kind?"),
        ("recipe.quality", ""),
    ],
)
def test_an_unknown_key_is_refused_with_the_known_ones(tmp_path, key, hint):
    path = toml(tmp_path, f"{key} = 1")
    with pytest.raises(UsageError) as caught:
        options_from_file(path)
    text = str(caught.value)
    name = key.split(".")[0]
    assert (
        f"unknown option {name!r}{hint}; the options are accept-function-change, allow-oversize, "
        in text
    )
    assert "max-shard-size" in text


def test_a_key_in_both_spellings_is_refused(tmp_path):
    path = toml(tmp_path, "batch-size = 1\nbatch_size = 2")
    with pytest.raises(UsageError, match="'batch_size' is set twice"):
        options_from_file(path)


def test_a_missing_file_of_options_is_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"--config '.*nowhere\.toml' cannot be read: No such file"
    ):
        options_from_file(str(tmp_path / "nowhere.toml"))


def test_a_folder_is_refused_as_a_file_of_options(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read|is not a regular file"):
        options_from_file(str(tmp_path))


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    pipe = tmp_path / "options.toml"
    os.mkfifo(pipe)
    for path in (str(pipe), "/dev/zero"):
        with pytest.raises(UsageError, match="is not a regular file of at most"):
            options_from_file(path)


@pytest.mark.parametrize("content", [b"quality: 90", b"= 1", b'a = "\xff"', b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_refused(tmp_path, content):
    path = tmp_path / "options.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"options\.toml' is not TOML"):
        options_from_file(str(path))


def test_an_invalid_value_in_the_file_is_refused_by_its_flag(tmp_path):
    file = options_from_file(toml(tmp_path, "quality = 101"))
    with pytest.raises(UsageError, match="--quality cannot be 101"):
        made(file=file)


def test_docstrings_of_fields_are_their_help():
    docs = field_docs(recipe_module)
    assert docs["seed"] == "seed of all random steps and of your function"
    assert "\n" not in "".join(docs.values())
