"""What a caller from Python reads: options as keyword arguments, the user's frames first."""

import pytest

from wdsremux.converting.python_texts import error_in_python, in_python
from wdsremux.core.errors import CorruptDataError, UsageError


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (
            "split left out: validation; --split all converts every split",
            'split left out: validation; split="all" converts every split',
        ),
        (
            "raise --max-errors and run this command again",
            "raise max_errors and run this call again",
        ),
        ("3 are more than --max-errors 1% allows", '3 are more than max_errors="1%" allows'),
        ("try it with --workers 0 --limit 5", "try it with workers=0, limit=5"),
        ("pass --overwrite to start from scratch", "pass overwrite=True to start from scratch"),
        ("--split 'dev': not a split", "split='dev': not a split"),
        ("fix it, or use --on-error skip", 'fix it, or use on_error="skip"'),
        ("as in --step resize=64 --step hflip", 'as in steps="resize=64", steps="hflip"'),
        ("--label-column '' if there is none", "label_column='' if there is none"),
        ("name it in --extra-columns", "name it in extra_columns"),
        (
            "run `wdsremux verify OUT --deep --workers 2`",
            "run `wdsremux verify OUT --deep --workers 2`",
        ),
        ("no option: a--b, --depth bytes", "no option: a--b, --depth bytes"),
        ("the same command resumes", "the same call resumes"),
    ],
)
def test_options_are_named_as_keyword_arguments(text, reported):
    assert in_python(text) == reported


def test_an_error_keeps_its_type():
    error = error_in_python(CorruptDataError("raise --max-errors"))
    assert type(error) is CorruptDataError
    assert str(error) == "raise max_errors"
    assert type(error_in_python(UsageError("--limit 3"))) is UsageError
