"""The keyword options of `convert` are the fields of Recipe and Run."""

import dataclasses
from typing import Literal, get_args, get_origin, get_type_hints

from wdsremux.options import ConvertOptions
from wdsremux.recipe import Recipe, Run

FIELDS = {field.name: field for kind in (Recipe, Run) for field in dataclasses.fields(kind)}


def test_every_field_is_an_option_but_the_transform_which_is_a_parameter():
    assert set(get_type_hints(ConvertOptions)) == set(FIELDS) - {"transform"}


def test_no_option_has_to_be_given():
    assert ConvertOptions.__required_keys__ == frozenset()


def test_options_with_choices_offer_those_of_their_fields():
    for name, hint in get_type_hints(ConvertOptions).items():
        if get_origin(hint) is Literal:
            assert set(get_args(hint)) == set(FIELDS[name].metadata["choices"]), name
