"""Which rows a condition keeps, and which conditions are refused before the run."""

import pickle

import numpy as np
import pytest

from wdsremux.core.columns import Column
from wdsremux.core.conditions import condition_from_text, names_of, parsed_condition
from wdsremux.core.errors import UsageError
from wdsremux.processing.filters import RowFilter
from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.codec import Codec

COLUMNS = {
    "label": Column("label", {"class_label": ["cat", "dog", "bird"]}),
    "w": Column("w", "int32"),
    "name": Column("name", "string"),
    "ok": Column("ok", "bool"),
    "score": Column("score", "float32"),
    "tags": Column("tags", {"list": "string"}),
}
ROWS = [
    {"label": 0, "w": 3, "name": "a", "ok": True, "score": 1.5},
    {"label": 1, "w": None, "name": "b", "ok": False, "score": 0.0},
    {"label": 2, "w": 900, "name": None, "ok": None, "score": None},
]


def prepared(text):
    condition = condition_from_text(text)
    columns = tuple(COLUMNS[name] for name in names_of(parsed_condition(condition)))
    rows = pickle.loads(pickle.dumps(RowFilter(condition, columns)))
    return rows.prepared()


def kept(text):
    test = prepared(text)
    return [number for number, row in enumerate(ROWS) if test.reason_against(row) is None]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("label in ['cat', 'bird']", [0, 2]),
        ("label in [1]", [1]),
        ("label not in [1]", [0, 2]),
        ("label == 'dog'", [1]),
        ("'dog' == label", [1]),
        ("w >= 256", [2]),
        ("not w >= 256", [0]),
        ("1 < w < 10", [0]),
        ("w == -3 or w == 900", [2]),
        ("w not in [3]", [2]),
        ("w in [2.5, 3]", [0]),
        ("w == w", [0, 2]),
        ("name == 'a' or ok", [0]),
        ("ok", [0]),
        ("not ok", [1]),
        ("name is None", [2]),
        ("name is not None", [0, 1]),
        ("name != None", [0, 1]),
        ("score > 1", [0]),
        ("score in [0, 1.5]", [0, 1]),
        ("label in [0, 1] and (w == 3 or name == 'b')", [0, 1]),
    ],
)
def test_a_condition_keeps_the_rows_for_which_it_is_true(text, rows):
    assert kept(text) == rows


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("label == 'cow'", "'label' has no class 'cow'"),
        ("label == 'brid'", "did you mean bird?"),
        ("name > 3", "different types: name is string"),
        ("name in [1]", "different types: name is string"),
        ("w in [3, 'x']", "different types: w is int32"),
        ("w and ok", "different types"),
        ("tags == 'a'", "cannot compare column 'tags', whose type is list"),
    ],
)
def test_a_condition_that_does_not_fit_the_columns_is_refused_before_the_run(text, part):
    with pytest.raises(UsageError, match="--where") as caught:
        prepared(text)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "().__class__",
        "f(w)",
        "w.real == 3",
        "w[0] == 3",
        "lambda: 1",
        "[x for x in w]",
        "w in name",
        "w < (1 + 2)",
        "9**9**9 == w",
        "w is 3",
        "w == [3]",
        "3 in [3]",
        "3 == 3",
        "(w := 3)",
        "w if ok else name",
        "f'{w}' == name",
        "w ==",
        "",
        "not " * 200 + "ok",
        "(" * 5000,
        "w == 1j",
        7,
    ],
    ids=str,
)
def test_nothing_but_comparisons_is_a_condition(text):
    with pytest.raises(ValueError, match="write a condition such as"):
        condition_from_text(text)


def test_a_condition_is_recorded_in_one_form_of_writing():
    assert condition_from_text(' label   in ["cat",3]') == "label in ['cat', 3]"


def image(width, height):
    return Codec().encode(np.zeros((height, width, 3), np.uint8))


def test_images_are_chosen_by_their_shorter_side_and_their_shape():
    rows = RowFilter(min_size=30, max_aspect=2).prepared()
    assert rows.reason_against_image(image(60, 30)) is None
    assert rows.reason_against_image(image(30, 60)) is None
    assert rows.reason_against_image(image(29, 40)) == "smaller than --min-size 30: 29 × 40"
    assert rows.reason_against_image(image(61, 30)) == "longer than --max-aspect 2: 61 × 30"


def test_a_broken_header_is_an_error_and_not_a_choice():
    with pytest.raises(DecodeError):
        RowFilter(min_size=30).prepared().reason_against_image(b"not an image")
