import pytest

from wdsremux.verifying.checks.loader_compatibility import has_dotted_key


@pytest.mark.parametrize(
    ("fields", "is_dotted"),
    [
        (("jpg",), False),
        (("jpg", "json"), False),
        (("jpg", "seg.png"), False),
        (("json.gz",), False),
        (("jpg.gz", "json.gz"), False),
        (("5x.jpg",), True),
        (("v2.001.jpg", "v2.002.jpg"), True),
        (("b.json.gz",), True),
        (("2.jpg", "2.json"), True),
    ],
)
def test_a_key_was_cut_when_no_member_has_a_plain_extension(fields, is_dotted):
    assert has_dotted_key(fields) is is_dotted
