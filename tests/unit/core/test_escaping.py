"""Nothing that a terminal would obey, and nothing that makes a line of its own, is shown as it is."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from wdsremux.core.escaping import escaped, escaped_lines

ANY_TEXT = st.text(st.characters(exclude_categories=()))
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Control characters, format characters such as bidirectional marks, surrogates, line ends."""


@given(ANY_TEXT)
@example("\x1b]0;title\x07")
@example("name\nwdsremux: all is well")
@example("\r\x85\u2028\u2029\x0b\x0c\x1c")
@example("\u202egpj.exe\u2066\u200f\ufeff")
@example("\ud800\udcff\U000e0001")
def test_a_shown_value_is_one_printable_line(text):
    shown = escaped(text)
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & OBEYED
    assert len(shown.splitlines()) <= 1
    shown.encode()  # no surrogate is left


@given(ANY_TEXT)
def test_printable_characters_are_shown_unchanged(text):
    printable = "".join(filter(str.isprintable, text))
    assert escaped(printable) == printable
    assert escaped(escaped(text)) == escaped(text)


@given(ANY_TEXT, ANY_TEXT)
def test_each_character_is_escaped_by_itself(one, other):
    assert escaped(one + other) == escaped(one) + escaped(other)


@given(ANY_TEXT)
def test_multi_line_strings_keep_only_line_ends_and_tabs(text):
    shown = escaped_lines(text)
    assert [*filter("\n\t".__contains__, shown)] == [*filter("\n\t".__contains__, text)]
    assert shown.replace("\n", "").replace("\t", "").isprintable()
    assert escaped_lines(escaped(text)) == escaped(text)


def test_other_values_are_shown_as_strings():
    assert escaped(None) == "None"
    assert escaped(["\x1b"]) == "['\\x1b']"


def test_letters_of_all_scripts_are_readable():
    for text in ("größe × 2 …", "ישראל", "画像.jpg", "C:\\data\\new"):
        assert escaped(text) == text
    assert escaped("a\nb\x1b[2J\u202e\U000e0001") == "a\\nb\\x1b[2J\\u202e\\U000e0001"
