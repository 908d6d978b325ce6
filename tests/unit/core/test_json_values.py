"""How values become JSON: canonical bytes, and the type of their column or a reason."""

import datetime as dt
import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.json_values import (
    ValueFormError,
    card_dtype,
    converter,
    json_bytes,
    label_converter,
)

plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.decimals()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.complex_numbers()
    | st.integers(-(2**63), 2**63 - 1).map(np.int64)
    | st.floats(width=32).map(np.float32)
    | st.lists(st.integers(0, 255), max_size=3).map(lambda v: np.array(v, np.uint8))
    | st.sets(st.integers(), max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
arguments = st.sampled_from(
    ["int64", "uint8", "float32", "float64", "bool", "string", "binary", "null", "timestamp"]
)
dtypes = st.recursive(
    arguments | st.just("unsupported") | st.just({"class_label": ["a", "b"]}),
    lambda inner: (
        st.builds(lambda d: {"list": d}, inner)
        | st.builds(lambda d: {"struct": d}, st.dictionaries(st.text(), inner, max_size=3))
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.text(), plain_json))
def test_an_object_is_written_so_that_any_json_reader_gets_it_back(value):
    assert json.loads(json_bytes(value)) == value


def test_json_is_canonical():
    assert json_bytes({"b": [1, 2.0], "a": "ü🐈", "c": None}) == (
        '{"a":"ü🐈","b":[1,2.0],"c":null}'.encode()
    )


def test_a_lone_surrogate_becomes_a_question_mark():
    assert json_bytes({"name": "a\udcffb"}) == b'{"name":"a?b"}'


def test_nan_never_gets_into_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_bytes({"x": math.nan})


@given(dtypes, anything)
def test_any_value_of_any_column_becomes_json_or_is_refused_with_a_reason(dtype, value):
    try:
        converted = converter(dtype)(value)
    except ValueFormError:
        return
    json.loads(json_bytes({"x": converted}))


@given(dtypes)
def test_null_stays_null_in_every_column(dtype):
    assert converter(dtype)(None) is None


@pytest.mark.parametrize(
    ("dtype", "value", "converted"),
    [
        ("int64", 5, 5),
        ("int64", 5.0, 5),
        ("int64", True, 1),
        ("int64", math.nan, None),
        ("int64", math.inf, None),
        ("int64", np.int32(7), 7),
        ("uint8", 255, 255),
        ("float32", 1, 1.0),
        ("float64", Decimal("1.5"), 1.5),
        ("float64", math.nan, None),
        ("float64", -math.inf, None),
        ("float64", np.float32(0.5), 0.5),
        pytest.param("float64", 10**400, None, id="huge"),
        ("float64", Decimal("sNaN"), None),
        ("uint64", 2**63 - 1, 2**63 - 1),
        ("bool", True, True),
        ("bool", np.bool_(False), False),
        ("string", "", ""),
        ("string", np.str_("a"), "a"),
        ("string", Decimal("1.50"), "1.50"),
        ("timestamp", dt.date(2024, 2, 29), "2024-02-29"),
        ("timestamp", dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC), "2024-02-29T12:30:00+00:00"),
        ("timestamp", dt.time(12, 30), "12:30:00"),
        ("timestamp", dt.timedelta(days=1, seconds=2), "1 day, 0:00:02"),
        ("timestamp", "yesterday", "yesterday"),
        ("binary", b"\xff\x00", "/wA="),
        ("binary", bytearray(b"a"), "YQ=="),
        ({"class_label": ["a", "b"]}, 1, 1),
        ({"class_label": ["a", "b"]}, -1, -1),
        ({"list": "int64"}, (1, 2), [1, 2]),
        ({"list": "float32"}, np.array([1, 2]), [1.0, 2.0]),
        ({"list": {"list": "int64"}}, [[1], None, []], [[1], None, []]),
        ({"struct": {"a": "int64", "b": "string"}}, {"a": 1}, {"a": 1, "b": None}),
        ({"struct": {"a": "int64"}}, {"a": 1, "other": 2}, {"a": 1}),
        ("unsupported", {1: [b"a", math.nan, {"x": np.int8(3)}]}, '{"1":["YQ==",null,{"x":3}]}'),
        ("unsupported", 2**70, str(2**70)),
        ("unsupported", True, "true"),
        ("unsupported", dt.date(2024, 1, 1), "2024-01-01"),
    ],
)
def test_a_value_is_converted_by_the_dtype_of_its_column(dtype, value, converted):
    found = converter(dtype)(value)
    assert found == converted
    assert type(found) is type(converted)


@pytest.mark.parametrize(
    ("dtype", "value", "reason"),
    [
        ("int64", 1.5, "expected a whole number, got float 1.5"),
        ("int64", 2**63, "expected int64, got int 9223372036854775808"),
        ("int8", -129, "expected int8, got int -129"),
        ("uint8", 256, "expected uint8, got int 256"),
        ("uint64", -1, "expected uint64, got int -1"),
        ("uint64", 2**63, "expected uint64, got int 9223372036854775808"),
        ("int64", "7", "expected a whole number, got str '7'"),
        ("float64", "7", "expected a number, got str '7'"),
        ("bool", 1, "expected true or false, got int 1"),
        ("string", 7, "expected a string, got int 7"),
        ("string", b"a", "expected a string, got bytes that begin with 'a'"),
        ("binary", "a", "expected bytes, got str 'a'"),
        ({"class_label": ["a", "b"]}, 2, "label 2 is not one of the 2 classes"),
        ({"class_label": ["a", "b"]}, -2, "label -2 is not one of the 2 classes"),
        ({"class_label": ["a", "b"]}, "a", "expected a whole number, got str 'a'"),
        ({"list": "int64"}, "12", "expected a list, got str '12'"),
        ({"list": "int64"}, [1, "2"], "expected a whole number, got str '2'"),
        ({"struct": {"a": "int64"}}, [1], "expected an object, got list [1]"),
        ("unsupported", {1, 2}, "expected a string, got set {1, 2}"),
    ],
)
def test_a_value_of_another_form_is_refused_with_what_it_is(dtype, value, reason):
    with pytest.raises(ValueFormError) as caught:
        converter(dtype)(value)
    assert str(caught.value) == reason


def test_a_reason_shows_only_the_beginning_of_a_long_value():
    with pytest.raises(ValueFormError) as caught:
        converter("int64")("x" * 10_000)
    assert len(str(caught.value)) < 150
    assert str(caught.value).endswith("...")


@pytest.mark.parametrize("dtype", ["binary", "unsupported"])
def test_an_invalid_label_is_refused(dtype):
    with pytest.raises(ValueFormError, match="a label cannot be bytes that begin with 'a'"):
        label_converter(dtype)(b"a")
    assert label_converter(dtype)(None) is None


@pytest.mark.parametrize(
    ("dtype", "value"), [("string", "cat"), ("int64", 3), ({"list": "int64"}, [1, 2])]
)
def test_a_label_of_any_other_dtype_is_converted_as_its_column(dtype, value):
    assert label_converter(dtype)(value) == value


@pytest.mark.parametrize(
    ("dtype", "in_json"),
    [
        ("int8", "int8"),
        ("uint64", "uint64"),
        ("float16", "float64"),
        ("bool", "bool"),
        ("binary", "string"),
        ("timestamp", "string"),
        ("null", "string"),
        ("image", "string"),
        ({"class_label": ["a"]}, {"class_label": ["a"]}),
        ({"list": {"list": "float32"}}, {"list": {"list": "float64"}}),
        (
            {"struct": {"a": "binary", "b": {"list": "int32"}}},
            {"struct": {"a": "string", "b": {"list": "int32"}}},
        ),
    ],
)
def test_a_dtype_is_declared_as_in_the_json(dtype, in_json):
    assert card_dtype(dtype) == in_json


KINDS = {"int64": int, "uint8": int, "float64": float, "bool": bool, "string": str}


@given(arguments, anything)
def test_values_in_the_json_have_the_declared_type(dtype, value):
    try:
        converted = converter(dtype)(value)
    except ValueFormError:
        return
    assert converted is None or type(converted) is KINDS[card_dtype(dtype)]
