"""Output without a reader: dropped, and an error only where it was the result."""

import errno
import io
import os

import pytest

from wdsremux.cli import console
from wdsremux.converting.progress import observer
from wdsremux.core.errors import StoreError
from wdsremux.core.events import Advanced, Begun, Note, SyncAdvanced, SyncBegun


class Refusing(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, number, *, is_terminal=False):
        super().__init__()
        self.number = number
        self.is_terminal = is_terminal
        self.tries = 0

    def write(self, _text):
        self.tries += 1
        raise OSError(self.number, os.strerror(self.number))

    def isatty(self):
        return self.is_terminal


def test_lines_are_made_only_as_they_are_read(monkeypatch):
    monkeypatch.setattr("sys.stdout", Refusing(errno.EPIPE))
    lines = iter("abc")
    console.out_lines(lines)
    assert [*lines] == ["b", "c"]


def test_an_error_while_lines_are_made_is_not_taken_for_a_closed_pipe(capsys):
    def lines():
        yield "a"
        raise BrokenPipeError("of a server")

    with pytest.raises(BrokenPipeError, match="of a server"):
        console.out_lines(lines())
    assert capsys.readouterr().out == "a\n"


def test_a_full_disk_fails_a_result_but_not_a_report(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", Refusing(errno.ENOSPC))
    with pytest.raises(StoreError, match="cannot write to stdout: No space left on device; free"):
        console.out("text")
    console.out_report("text")
    assert capsys.readouterr().err.startswith("wdsremux: cannot write to stdout: No space")


def test_errors_and_exit_survive_a_closed_stderr(monkeypatch):
    gone = Refusing(errno.EPIPE)
    monkeypatch.setattr("sys.stderr", gone)
    console.err("text")
    console.flush()
    assert gone.tries


@pytest.mark.parametrize("kind", ["log", "json", "bar"])
@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO])
def test_progress_is_shown_or_not_and_never_raises(kind, number):
    out = Refusing(number, is_terminal=True)
    tell = observer(kind, out)
    begun = Begun(10, 0, 1, "threads")
    for event in (Note("text"), begun, Advanced(5, 5, (), 1, 1), Note("text")):
        tell(event)
    assert out.tries


@pytest.mark.parametrize("is_terminal", [False, True])
def test_progress_of_bytes_never_raises(is_terminal):
    out = Refusing(errno.EPIPE, is_terminal=is_terminal)
    tell = observer("auto", out)
    for event in (Note("text"), SyncBegun(1, 100), SyncAdvanced(50), Note("x"), SyncAdvanced(50)):
        tell(event)
    assert out.tries
