"""The strings of options: what they mean, and what is said of those that mean nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.option_values import (
    ErrorLimit,
    colour_from_text,
    counted,
    did_you_mean,
    error_limit_from_text,
    first_of,
    names_from_text,
    number_from,
    rows_from,
    seconds_from_text,
    shard_size_from_text,
    size_from_text,
    strings,
    switch_from,
    text_from_colour,
    text_from_size,
    text_from_value,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512 * 10**6),
        ("512MiB", 512 * 2**20),
        ("1.5GB", 1_500_000_000),
        ("1KiB", 1024),
        ("2tb", 2 * 10**12),
        (" 10 kb ", 10_000),
        ("7", 7),
        ("7B", 7),
        (123_456, 123_456),
        ("1.001KB", 1001),
        ("9007199254740993", 9_007_199_254_740_993),
    ],
)
def test_a_size_is_read_to_the_byte(text, size):
    assert size_from_text(text) == size


@given(st.integers(1, 2**62))
def test_every_whole_number_of_bytes_is_a_size(size):
    assert size_from_text(size) == size_from_text(str(size)) == size


@pytest.mark.parametrize("text", ["", "MB", "12 parsecs", "-5MB", "1e3", "1,5MB", None, True])
def test_an_invalid_size_says_how_to_write_one(text):
    with pytest.raises(ValueError, match="write a size such as 512MB"):
        size_from_text(text)


@pytest.mark.parametrize("text", [1, "1", "10KB", "10239"])
def test_a_shard_size_under_that_of_the_smallest_tar_is_refused(text):
    with pytest.raises(ValueError, match="a tar file has at least 10240 bytes"):
        shard_size_from_text(text)
    assert shard_size_from_text("10240") == 10_240


@pytest.mark.parametrize("text", ["0", "0MB", 0, "0.4B"])
def test_a_size_of_zero_is_refused(text):
    with pytest.raises(ValueError, match="larger than 0"):
        size_from_text(text)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("25", ErrorLimit(rows=25)),
        (0, ErrorLimit(rows=0)),
        ("1%", ErrorLimit(percent=1.0)),
        (" 2.5 % ", ErrorLimit(percent=2.5)),
        ("100%", ErrorLimit(percent=100.0)),
        (ErrorLimit(rows=3), ErrorLimit(rows=3)),
    ],
)
def test_a_limit_is_a_number_of_rows_or_a_share(text, limit):
    assert error_limit_from_text(text) == limit


@pytest.mark.parametrize("text", ["", "101%", "-1", "1.5", "many", "%", None])
def test_an_invalid_limit_says_how_to_write_one(text):
    with pytest.raises(
        ValueError, match="write a number of rows such as 25, or a percentage such as 1"
    ):
        error_limit_from_text(text)


@pytest.mark.parametrize("limit", [ErrorLimit(rows=0), ErrorLimit(percent=2.5)])
def test_a_limit_is_shown_as_it_is_written(limit):
    assert error_limit_from_text(str(limit)) == limit


def test_a_limit_in_rows_does_not_ask_how_many_rows_there_are():
    limit = ErrorLimit(rows=2)
    assert limit.allows(2, 2)
    assert not limit.allows(3, 10**9)


def test_a_limit_in_percent_is_a_share_of_all_rows():
    limit = ErrorLimit(percent=1.0)
    assert limit.allows(10, 1000)
    assert not limit.allows(11, 1000)
    assert not ErrorLimit(percent=0.0).allows(1, 10**9)
    assert ErrorLimit(percent=0.0).allows(0, 0)


@pytest.mark.parametrize(
    ("value", "colour"),
    [
        ("white", (255, 255, 255)),
        ("#102030", (16, 32, 48)),
        ("#10203080", (16, 32, 48)),
        ((1, 2, 3), (1, 2, 3)),
        ([1, 2, 3], (1, 2, 3)),
    ],
)
def test_a_colour_is_a_name_a_code_or_three_numbers(value, colour):
    assert colour_from_text(value) == colour


@pytest.mark.parametrize(
    "value",
    [(), (1, 2), (1, 2, 3, 4), (0, 0, 256), (-1, 0, 0), (0.5, 0, 0), (True, 0, 0), 7, ("a", 0, 0)],
)
def test_a_colour_of_other_numbers_is_refused(value):
    with pytest.raises(ValueError, match="write three whole numbers from 0 to 255"):
        colour_from_text(value)


@pytest.mark.parametrize("text", ["", "no such colour", "#12"])
def test_an_unknown_colour_is_refused(text):
    with pytest.raises(ValueError, match="write a colour name"):
        colour_from_text(text)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a,b", ("a", "b")),
        (" a , b c ,", ("a", "b c")),
        ("", ()),
        ([], ()),
        (["a,b", " c "], ("a,b", "c")),
        (("a",), ("a",)),
    ],
)
def test_names_are_separated_by_commas_or_passed_as_a_list(value, names):
    assert names_from_text(value) == names


@pytest.mark.parametrize("value", [5, [1, 2], ["a", None], True])
def test_names_that_are_not_strings_are_refused(value):
    with pytest.raises(ValueError, match="write names such as a,b"):
        names_from_text(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a,b", ("a,b",)), (["a", "b"], ("a", "b")), ((), ())],
)
def test_strings_are_not_split(value, expected):
    assert strings(value) == expected


@pytest.mark.parametrize("value", [5, ["a", 5], None, {"a": 1}])
def test_values_that_are_not_strings_are_refused(value):
    with pytest.raises(ValueError, match="write a string, or a list of strings"):
        strings(value)


@pytest.mark.parametrize(
    ("value", "number"), [("7", 7), (7, 7), (" 7 ", 7), (7.0, 7), ("-0", 0), (np.int64(7), 7)]
)
def test_a_whole_number_is_read(value, number):
    assert number_from(0, 100)(value) == number


@pytest.mark.parametrize(
    "value", ["-1", "101", 101, "7.5", 7.5, "seven", "", float("inf"), float("nan"), True, None, []]
)
def test_a_number_out_of_range_is_refused_with_the_range(value):
    with pytest.raises(ValueError, match="write a whole number from 0 to 100"):
        number_from(0, 100)(value)


def test_a_range_may_have_no_end():
    assert number_from(1)(10**12) == 10**12
    with pytest.raises(ValueError, match=r"write a whole number from 1$"):
        number_from(1)(0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90", 90.0), ("1.5", 1.5), ("2m", 120.0), ("1h", 3600.0), (5, 5.0), (0.25, 0.25), ("3 s", 3)],
)
def test_seconds_are_read_with_their_unit(value, seconds):
    assert seconds_from_text(value) == seconds


@pytest.mark.parametrize("value", ["", "0", "-1", "soon", "1d", None, True])
def test_an_invalid_duration_says_how_to_write_one(value):
    with pytest.raises(ValueError, match="write seconds such as 90, or 2m, or 1h"):
        seconds_from_text(value)


@pytest.mark.parametrize("value", [True, False])
def test_a_switch_is_true_or_false(value):
    assert switch_from(value) is value


@pytest.mark.parametrize("value", ["false", "no", "true", 0, 1, None, []])
def test_a_switch_is_not_another_value(value):
    with pytest.raises(ValueError, match="write true or false"):
        switch_from(value)


@pytest.mark.parametrize(
    ("value", "rows"), [("30", (30,)), (7, (7,)), (["50", "30", 30], (30, 50)), ((), ())]
)
def test_rows_are_put_in_order_each_once(value, rows):
    assert rows_from(value) == rows


@pytest.mark.parametrize("value", ["0", "x", [1, "a"], -1, 1.5, None])
def test_an_invalid_row_number_is_refused(value):
    with pytest.raises(ValueError, match="whole number"):
        rows_from(value)


def test_one_item_is_counted_in_the_singular():
    assert [counted(n, "shard") for n in (0, 1, 2)] == ["0 shards", "1 shard", "2 shards"]


@given(st.integers(1, 10**13) | st.integers(1, 10**6).map(lambda n: n * 10**6))
def test_a_size_is_read_again_as_it_is_shown(size):
    assert size_from_text(text_from_size(size)) == size


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_a_colour_is_read_again_as_it_is_shown(colour):
    assert colour_from_text(text_from_colour(colour)) == colour


def test_values_are_shown_as_they_are_written():
    assert text_from_size(512 * 10**6) == "512MB"
    assert text_from_colour((255, 255, 255)) == "white"
    assert (text_from_value(120.0), text_from_value(0.5), text_from_value("auto")) == (
        "120",
        "0.5",
        "auto",
    )


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("--worker", "--workers"),
        ("--wrokers", "--workers"),
        ("--max-shard-sise", "--max-shard-size"),
        ("--imag", "--image-column"),
        ("--foo", None),
        ("--fast", None),
        ("--shuffle", None),
        ("--prefix", None),
        ("--out", None),
    ],
)
def test_a_word_is_suggested_only_for_a_slip_or_a_beginning(word, near):
    known = ("--workers", "--format", "--max-shard-size", "--image-column", "--split", "--seed")
    assert did_you_mean(word, known) == (f"; did you mean {near}?" if near else "")


def test_the_first_of_several_says_how_many_others_there_are():
    assert first_of(["a"], "file") == "a"
    assert first_of(["a", "b"], "file") == "a (and 1 more file)"
    assert first_of(["a", "b", "c"]) == "a (and 2 more)"
