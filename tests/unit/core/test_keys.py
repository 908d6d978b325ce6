"""Keys: safe for every reader, and different for different strings."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.keys import MAX_KEY_CHARS, is_safe_key, key_from_position, key_from_value

# What webdataset, Hugging Face, Energon, Ray and Daft part a member's name by.
SPLIT = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")

any_text = st.text(st.characters(codec=None), min_size=1, max_size=200)


def test_positions_have_nine_digits_and_sort_as_rows_do():
    assert key_from_position(1234) == "000001234"
    assert key_from_position(999_999_999) == "999999999"
    assert key_from_position(10**9) == "1000000000"


@given(any_text)
def test_any_string_becomes_a_safe_key_and_is_kept(text):
    key, original = key_from_value(text)
    assert original == text
    assert is_safe_key(key)


@given(any_text)
def test_every_reader_splits_key_and_extension_alike(text):
    key, _ = key_from_value(text)
    assert SPLIT.match(f"{key}-c999.jpg").groups() == (f"{key}-c999", "jpg")
    assert not key.startswith(("__", "."))


@given(any_text, any_text)
def test_different_strings_have_different_keys(one, other):
    assert (key_from_value(one)[0] == key_from_value(other)[0]) == (one == other)


def test_strings_that_differ_in_invalid_unicode_have_different_keys():
    assert key_from_value("a\udc80")[0] != key_from_value("a\udc81")[0]


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,78}[A-Za-z0-9]", fullmatch=True))
def test_a_safe_string_is_its_own_key(text):
    assert key_from_value(text) == (text, text)


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("../../etc/passwd", "etc_passwd-"),
        ("a.b.jpg", "a_b_jpg-"),
        ("two\nlines", "two_lines-"),
        ("Straße 7", "Stra_e_7-"),
        ("__meta__", "meta-"),
        ("x" * 300, "x" * 67 + "-"),
    ],
)
def test_readable_parts_of_a_hostile_string_stay_readable(text, begins):
    key, _ = key_from_value(text)
    assert re.fullmatch(re.escape(begins) + "[0-9a-f]{12}", key)


@pytest.mark.parametrize("text", ["🐈", "...", "///", "_", " "])
def test_a_string_without_a_safe_character_is_named_by_its_hash(text):
    assert re.fullmatch("[0-9a-f]{12}", key_from_value(text)[0])


def test_a_whole_number_is_a_key():
    assert key_from_value(17) == ("17", "17")


@pytest.mark.parametrize("value", [None, 1.5, b"bytes", ["a"], {"a": 1}, float("nan")])
def test_a_value_that_cannot_be_a_key_is_refused(value):
    kind = type(value).__name__
    with pytest.raises(ValueError, match=f"a key must be a string or a whole number, not {kind}"):
        key_from_value(value)


def test_an_empty_string_is_refused():
    with pytest.raises(ValueError, match="the key is empty"):
        key_from_value("")


@pytest.mark.parametrize("key", ["a", "A-b_9", "_a", "-", "x" * MAX_KEY_CHARS])
def test_safe_keys_are_safe(key):
    assert is_safe_key(key)


@pytest.mark.parametrize("key", ["", "a.b", "a/b", "a b", "ä", "a\n", "x" * 81, "__a", "__"])
def test_other_keys_are_not(key):
    assert not is_safe_key(key)
