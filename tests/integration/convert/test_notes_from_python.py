"""What `wdsremux.convert` reports to a program: only notes by default."""

import json
import logging

import pytest
from support.forms import pictures

import wdsremux
from wdsremux.core.errors import UsageError
from wdsremux.core.events import Done, Note

pytestmark = pytest.mark.integration
NO_LABEL = "no label column was found"


def convert(out, **options):
    rows = [{"image": image} for image in pictures(3).images]
    return wdsremux.convert(rows, out, workers=0, **options)


def noted(caplog):
    return [record.message for record in caplog.records if record.name == "wdsremux"]


def test_by_default_only_notes_are_logged(tmp_path, caplog, capfd):
    convert(tmp_path / "out")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    (text,) = noted(caplog)
    assert NO_LABEL in text
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_on_stderr_as_on_the_command_line(tmp_path, caplog, capfd):
    convert(tmp_path / "log", progress="log")
    out, err = capfd.readouterr()
    assert out == ""
    assert "\nconverting 3 rows in this process\n" in err
    assert NO_LABEL in err
    convert(tmp_path / "json", progress="json")
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (events[-1]["event"], events[-1]["samples"]) == ("done", 3)
    convert(tmp_path / "bar", progress="bar")
    assert "3 of 3 rows" in capfd.readouterr().err
    assert noted(caplog) == []


def test_progress_none_prints_nothing(tmp_path, caplog, capfd):
    convert(tmp_path / "out", progress="none")
    assert capfd.readouterr() == ("", "")
    assert noted(caplog) == []


def test_an_observer_gets_the_events_and_nothing_is_logged(tmp_path, caplog):
    events = []
    convert(tmp_path / "out", observer=events.append)
    assert any(NO_LABEL in event.text for event in events if isinstance(event, Note))
    assert isinstance(events[-1], Done)
    assert noted(caplog) == []


def test_an_observer_and_progress_exclude_each_other(tmp_path):
    with pytest.raises(UsageError, match="exclude each other"):
        convert(tmp_path / "out", progress="log", observer=print)
    assert not (tmp_path / "out").exists()


def test_an_unknown_progress_is_refused(tmp_path):
    with pytest.raises(UsageError, match="progress cannot be 'loud'; choose auto, bar"):
        convert(tmp_path / "out", progress="loud")
