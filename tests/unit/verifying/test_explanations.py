"""Every finding is explained: cause, consequence, remedy and an example."""

import pytest

from wdsremux.cli.main import main
from wdsremux.verifying.explanations import explanation_of
from wdsremux.verifying.findings import Code


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_cause_a_consequence_and_an_example(code):
    found = explanation_of(code)
    assert found.cause.endswith(".")
    assert found.consequence.endswith(".")
    assert found.example.startswith(f"{code.code} {code.severity}")
    assert code.title in found.example
    assert "{shard}" not in found.remedy + found.example


def test_the_command_shows_the_whole_explanation(capsys):
    assert main(["explain", "w206"]) == 0
    shown = capsys.readouterr().out
    found = explanation_of(Code.UNVERIFIED)
    for text in (found.title, found.cause, found.consequence, found.remedy, found.example):
        assert text in shown
