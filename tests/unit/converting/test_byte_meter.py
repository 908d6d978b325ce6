"""How far a verification or a sync is: a line now and then, or a bar."""

import io
import json
from types import SimpleNamespace

import pytest
from support.verified import make_dataset

from wdsremux.converting import views
from wdsremux.converting.byte_meter import ByteMeter
from wdsremux.converting.progress import close, observer
from wdsremux.core.events import CheckAdvanced, CheckBegun, Note, Phase, SyncAdvanced, SyncBegun
from wdsremux.verifying.verify import verify


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    time = SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr(views, "time", time)
    monkeypatch.setattr(views, "ByteMeter", lambda: ByteMeter(time.monotonic))
    return clock


def test_outside_a_terminal_a_line_is_printed_every_ten_seconds(clock):
    out = io.StringIO()
    show = observer("auto", out)
    show(SyncBegun(4, 400_000_000))
    for second in range(1, 26):
        clock.now = second
        show(SyncAdvanced(4_000_000))
    show(SyncAdvanced(0, files=1))
    show(Note("cannot reach it"))
    assert out.getvalue().splitlines() == [
        "0 of 4 files, 40.0 MB of 400.0 MB, 4.0 MB/s, 1 min 30 s left",
        "0 of 4 files, 80.0 MB of 400.0 MB, 4.0 MB/s, 1 min 20 s left",
        "cannot reach it",
    ]


def test_a_verification_counts_shards(clock):
    out = io.StringIO()
    show = observer("log", out)
    show(CheckBegun(4, 100_000_000, 2))
    clock.now = 5.0
    show(CheckAdvanced(20_000_000))
    clock.now = 12.0
    show(CheckAdvanced(40_000_000, 2))
    assert out.getvalue() == "2 of 4 shards, 60.0 MB of 100.0 MB, 5.0 MB/s, 8 s left\n"


def test_a_phase_that_lasts_is_a_line_of_a_log(clock):
    out = io.StringIO()
    show = observer("log", out)
    clock.now = 0.5
    show(Phase("opening out"))
    clock.now = 2.0
    show.tick()
    assert out.getvalue() == ""
    for clock.now in (3.0, 4.0, 12.0, 13.0):
        show.tick()
    assert out.getvalue().splitlines() == ["opening out, 2 s", "opening out, 12 s"]


def test_what_reads_no_bytes_shows_none_of_none(clock):
    meter = ByteMeter(lambda: clock.now)
    meter.note(CheckBegun(4, 0, 2))
    clock.now = 3.0
    meter.note(CheckAdvanced(0, 2))
    assert meter.line() == "2 of 4 shards"
    assert meter.total is None


def test_json_has_the_sums_of_bytes(clock):
    out = io.StringIO()
    show = observer("json", out)
    show(Phase("opening out"))
    show(SyncBegun(4, 100))
    clock.now = 1.5
    show(SyncAdvanced(60, files=1))
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"event": "phase", "text": "opening out"},
        {"event": "progress", "files": 1, "files_in_all": 4, "bytes": 60, "bytes_in_all": 100},
    ]


def test_a_terminal_gets_a_bar():
    out = Terminal()
    show = observer("auto", out)
    show(Note("before"))
    show(SyncBegun(1, 2_000_000))
    show(SyncAdvanced(1_000_000))
    show(Note("cannot reach it"))
    show(SyncAdvanced(1_000_000, files=1))
    close(show)
    assert "before\n" in out.getvalue()
    assert "cannot reach it\n" in out.getvalue()
    assert "1 of 1 file, 2.0 MB of 2.0 MB" in out.getvalue()


def test_the_bar_of_a_verification_is_removed_at_its_end(tmp_path):
    out = Terminal()
    show = observer("auto", out)
    verify(make_dataset(tmp_path / "out"), observer=show)
    close(show)
    assert "5 of 5 shards" in out.getvalue()
    assert out.getvalue().endswith("\r")
