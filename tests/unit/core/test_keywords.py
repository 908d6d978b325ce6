"""The keyword options of `convert` are the fields of Recipe and Run."""

import dataclasses
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from wdsremux import convert, repair
from wdsremux.core.errors import UsageError
from wdsremux.core.keywords import ConvertOptions
from wdsremux.core.recipe import Recipe, Run

FIELDS = {field.name: field for kind in (Recipe, Run) for field in dataclasses.fields(kind)}


def test_every_field_is_an_option_but_the_transform_which_is_a_parameter():
    assert set(get_type_hints(ConvertOptions)) == set(FIELDS) - {"transform"}


def test_no_option_is_required():
    assert ConvertOptions.__required_keys__ == frozenset()


def test_options_with_choices_offer_those_of_their_fields():
    for name, hint in get_type_hints(ConvertOptions).items():
        if get_origin(hint) is Literal:
            assert set(get_args(hint)) == set(FIELDS[name].metadata["choices"]), name


@pytest.mark.parametrize(("given", "near"), [("worker", "workers"), ("step", "steps")])
def test_an_unknown_option_is_refused_with_a_similar_one_and_all_known(tmp_path, given, near):
    with pytest.raises(UsageError, match=f"option '{given}'; did you mean {near}\\?; ") as reported:
        convert("demo:", tmp_path / "out", **{given: 2})
    assert all(f" {name}" in str(reported.value) for name in get_type_hints(ConvertOptions))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", ["overwrite", "progress"])
def test_repair_refuses_conversion_options_it_would_ignore(tmp_path, given):
    with pytest.raises(UsageError, match=f"unknown option '{given}'"):
        repair(tmp_path, **{given: "none"})
