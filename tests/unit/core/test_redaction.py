"""No message of a library or server brings a key or a signed URL into ours."""

import pytest

from wdsremux.core.redaction import MAX_CHARS, redacted, shown_cause

SIGNED = "https://cdn.example/a.tar?X-Amz-Credential=AKIA&X-Amz-Signature=SECRET"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"403 for url '{SIGNED}'", "403 for url [hidden]"),
        ("pool(host='cdn', port=443): url: /a.tar?Signature=SECRET (no)", "url: [hidden] (no)"),
        ("s3://name:SECRET@host/bucket", "[hidden]"),
        ("Authorization: Bearer SECRET, hf_SECRETtoken", "Authorization: [hidden] [hidden]"),
        ("key AKIASECRETSECRETSECR is out", "key [hidden] is out"),
    ],
)
def test_keys_tokens_and_urls_are_redacted(text, shown):
    assert redacted(text).endswith(shown)
    assert "SECRET" not in redacted(text)
    assert shown_cause(ValueError(text)) is None


def test_other_strings_become_one_line_of_bounded_length():
    text = "no file hf://datasets/u/n@abc/a b.jpg in 'x=1'?\n  is it there?"
    assert redacted(text) == "no file hf://datasets/u/n@abc/a b.jpg in 'x=1'? is it there?"
    assert len(redacted("é" * 999)) == MAX_CHARS


def test_a_cause_is_shown_unless_it_or_its_own_cause_has_a_secret():
    clean, wrapped = ValueError("line 7"), ValueError("line 7")
    assert shown_cause(clean) is clean
    wrapped.__cause__ = OSError(SIGNED)
    assert shown_cause(wrapped) is None
