"""How far a verification or a sync is: a line now and then, or a bar."""

import io
from types import SimpleNamespace

import pytest
from support.verified import make_dataset

from wdsremux.cli import byte_progress as room
from wdsremux.cli.byte_progress import byte_progress
from wdsremux.core.events import CheckAdvanced, CheckBegun, Note, SyncAdvanced, SyncBegun
from wdsremux.verifying.verify import verify


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_outside_a_terminal_a_line_is_printed_every_ten_seconds(clock):
    out = io.StringIO()
    tell = byte_progress(out)
    tell(SyncBegun(4, 400_000_000))
    for second in range(1, 26):
        clock.now = second
        tell(SyncAdvanced(4_000_000))
    tell(SyncAdvanced(0, files=1))
    tell(Note("cannot reach it"))
    assert out.getvalue().splitlines() == [
        "0 of 4 files, 40.0 MB of 400.0 MB, 4.0 MB/s, 1 min 30 s to go",
        "0 of 4 files, 80.0 MB of 400.0 MB, 4.0 MB/s, 1 min 20 s to go",
        "cannot reach it",
    ]


def test_a_verification_counts_shards(clock):
    out = io.StringIO()
    tell = byte_progress(out)
    tell(CheckBegun(4, 100_000_000, 2))
    clock.now = 5.0
    tell(CheckAdvanced(20_000_000))
    clock.now = 12.0
    tell(CheckAdvanced(40_000_000, 2))
    assert out.getvalue() == "2 of 4 shards, 60.0 MB of 100.0 MB, 5.0 MB/s, 8 s to go\n"


def test_a_terminal_gets_a_bar():
    out = Terminal()
    tell = byte_progress(out)
    tell(Note("before"))
    tell(SyncBegun(1, 2_000_000))
    tell(SyncAdvanced(1_000_000))
    tell(Note("cannot reach it"))
    tell(SyncAdvanced(1_000_000, files=1))
    assert "before\n" in out.getvalue()
    assert "cannot reach it\n" in out.getvalue()
    assert "2.00M" in out.getvalue()


def test_the_bar_of_a_verification_is_removed_at_its_end(tmp_path):
    out = Terminal()
    verify(make_dataset(tmp_path / "out"), observer=byte_progress(out))
    assert "/133k" in out.getvalue()
    assert out.getvalue().endswith("\r")
