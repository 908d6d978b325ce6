"""The front matter of a README.md: written and read, or refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.front_matter import front_matter, front_matter_bytes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.text("abc", min_size=1), values, min_size=1))
def test_a_front_matter_is_read_as_it_was_written(value):
    assert front_matter(front_matter_bytes(value) + b"# text\n---\n") == value


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_of_both_kinds_are_read(end):
    assert front_matter(end.join([b"---", b"a: 1", b"---", b"# text"])) == {"a": 1}


@pytest.mark.parametrize(
    "data",
    [b"", b"---\n---\n", b"---\n\n---\n", b"x---\na: 1\n---\n", b"---\n- 1\n---\n", b"---\na: 1\n"],
)
def test_a_readme_without_front_matter_has_none(data):
    assert front_matter(data) is None


@pytest.mark.parametrize("data", [b"---\n\xff\n---\n", b"---\na: \0\n---\n", b"---\na: [\n---\n"])
def test_broken_yaml_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        front_matter(data)
