"""What the supervisor does when its child ends; the process death itself is patched."""

import signal

import pytest

from wdsremux.cli import supervisor


@pytest.fixture
def ended(monkeypatch):
    """Return a function that runs the supervisor with children of given exit codes."""

    def run(*codes, oom_kills, arguments=("convert", "in", "out")):
        commands, ends, counts = [], list(codes), list(oom_kills)

        def child(self, command):
            commands.append([*command])
            self.code = ends.pop(0)

        monkeypatch.setattr(supervisor._Child, "run", child)
        monkeypatch.setattr(supervisor, "_out_of_memory_kills", lambda: counts.pop(0))
        return supervisor._supervised(arguments), commands

    return run


def test_a_run_killed_for_memory_is_started_again_with_what_it_has_made(ended, capsys):
    arguments = ("convert", "in", "out", "--overwrite", "--config", "run.toml")
    code, commands = ended(-signal.SIGKILL, 0, oom_kills=[3, 4, 4], arguments=arguments)
    assert code == 0
    assert commands[1] == ["convert", "--no-overwrite", "in", "out", "--config", "run.toml"]
    errors = capsys.readouterr().err
    assert "was killed (out of memory); starting it again with worker processes" in errors


def test_a_run_killed_by_hand_is_not_started_again(ended, capsys):
    code, commands = ended(-signal.SIGKILL, oom_kills=[3, 3])
    assert (code, len(commands)) == (137, 1)
    assert "was killed (SIGKILL); the same command resumes it" in capsys.readouterr().err


def test_a_second_crash_ends_the_run(ended, capsys):
    code, commands = ended(-signal.SIGSEGV, -signal.SIGABRT, oom_kills=[0] * 4)
    assert (code, len(commands)) == (134, 2)
    assert "crashed (SIGABRT); the same command resumes it" in capsys.readouterr().err


def test_the_kernel_counts_its_kills():
    assert supervisor._out_of_memory_kills() >= 0
