"""Digests of rows: equal for equal values, different for any other."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

import wdsremux
from wdsremux.sources.rows.digest import digest_of_rows
from wdsremux.sources.rows.pictures import DecodedImage


def digest(value):
    return digest_of_rows([{"value": value}])


def photo(number, mode="RGB"):
    return Image.new(mode, (3, 2), number)


VALUES = [
    None,
    True,
    1,
    1.0,
    "1",
    b"1",
    [1],
    [[1]],
    [1, 2],
    [2, 1],
    {1},
    {"a": 1},
    {"a": 2},
    {"b": 1},
    PurePosixPath("1"),
    dt.date(2020, 1, 1),
    dt.datetime(2020, 1, 1),  # noqa: DTZ001 (of no zone)
    photo(1),
    photo(2),
    photo(1, "L"),
    photo(1, "P"),
    DecodedImage(photo(1)),
    DecodedImage(photo(1), 6),
    np.zeros((2, 3), np.uint8),
    np.zeros((3, 2), np.uint8),
    np.zeros((2, 3), np.int8),
    np.zeros(6, np.uint8),
    np.array([None, 1]),
    np.array([None, 2]),
    np.uint8(1),
]


def test_different_values_have_different_digests():
    assert len({digest(value) for value in VALUES}) == len(VALUES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (photo(7), photo(7)),
        (np.arange(3, dtype=">i4"), np.arange(3, dtype="<i4")),
        (b"a", bytearray(b"a")),
        (object(), object()),
    ],
)
def test_equal_values_have_equal_digests(one, other):
    assert digest(one) == digest(other)


def test_the_order_of_the_rows_counts():
    rows = [{"n": 1}, {"n": 2}]
    assert digest_of_rows(rows) != digest_of_rows(rows[::-1])


def test_a_self_referencing_value_is_handled():
    loop = []
    loop.append(loop)
    assert digest(loop) == digest(loop)


def test_a_digest_is_the_same_in_every_process():
    script = (
        "from wdsremux.sources.rows.digest import digest_of_rows\n"
        "print(digest_of_rows([{'a': {'x', 'y', 'zz'}, 'b': object()}]))"
    )
    path = str(Path(wdsremux.__file__).parents[1])
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in "12"
    }
    assert len(answers) == 1
