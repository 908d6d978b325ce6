"""A source that has answered is waited for much longer than one that never has."""

import pytest

from wdsremux.core.recipe import Recipe, Run
from wdsremux.sources import registry
from wdsremux.sources.hub import layout
from wdsremux.sources.parquet import hub


@pytest.mark.parametrize(
    ("run", "first_s", "then_s"),
    [(Run(), 120, 1800), (Run(give_up_after=7.0), 7, 7)],
    ids=["default", "given"],
)
def test_a_hub_source_that_has_answered_is_retried_for_half_an_hour(
    monkeypatch, run, first_s, then_s
):
    seen = []

    class Layout:
        is_parquet = True

    def hub_layout(*_args, access, **_options):
        seen.append(access.give_up_after_s)
        return Layout()

    monkeypatch.setattr(layout, "hub_layout", hub_layout)
    monkeypatch.setattr(
        hub, "open_hub", lambda _layout, access: seen.append(access.give_up_after_s)
    )
    registry._open_hub("user/name", Recipe(), run)
    assert seen == [first_s, then_s]
