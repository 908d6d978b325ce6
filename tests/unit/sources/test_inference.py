import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from wdsremux.core.columns import Column
from wdsremux.sources.inference import dtype_of, infer_columns, merged


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (None, "null"),
        (True, "bool"),
        (3, "int64"),
        (2**63, "unsupported"),
        (0.5, "float64"),
        (Decimal("1.5"), "float64"),
        ("x", "string"),
        (b"x", "binary"),
        (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "timestamp"),
        (dt.date(2020, 1, 1), "timestamp"),
        (np.int32(3), "int64"),
        (np.float32(3), "float64"),
        (np.zeros((2, 3)), {"list": {"list": "float64"}}),
        ([], {"list": "null"}),
        ([1, 2.5, None], {"list": "float64"}),
        ({"a": 1, "b": ["x"]}, {"struct": {"a": "int64", "b": {"list": "string"}}}),
        ({1: 2}, "unsupported"),
        (object(), "unsupported"),
        ({1, 2}, "unsupported"),
    ],
)
def test_the_type_of_a_value_is_inferred(value, dtype):
    assert dtype_of(value) == dtype


def test_a_value_nested_without_end_is_not_supported():
    value = []
    for _ in range(100):
        value = [value]
    assert "unsupported" in str(dtype_of(value))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("null", "string", "string"),
        ("int64", "float64", "float64"),
        ("bool", "int64", "int64"),
        ("string", "timestamp", "string"),
        ("string", "int64", "unsupported"),
        ("unsupported", "int64", "unsupported"),
        ({"list": "null"}, {"list": "string"}, {"list": "string"}),
        ({"list": "null"}, "null", {"list": "null"}),
        ({"list": "null"}, {"struct": {}}, "unsupported"),
        (
            {"struct": {"a": "int64"}},
            {"struct": {"b": "string", "a": "float64"}},
            {"struct": {"a": "float64", "b": "string"}},
        ),
    ],
)
def test_types_merge_the_same_both_ways(one, other, both):
    assert merged(one, other) == both
    assert merged(other, one) == both


def test_columns_come_in_the_order_their_names_are_first_seen():
    rows = [{"b": 1, "a": None}, {"c": "x", "a": 2.5, "b": 2}]
    assert infer_columns(rows) == (
        Column("b", "int64"),
        Column("a", "float64"),
        Column("c", "string"),
    )
