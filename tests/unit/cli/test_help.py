"""Help for people: pages, findings, options on one screen, completion, and options of other tools."""

import subprocess
import sys

import pytest

import wdsremux
from wdsremux.cli.help import topics
from wdsremux.cli.main import main
from wdsremux.verifying.findings import Code

SCREEN_LINES = 60


def shown(capsys, *arguments):
    """Return what a command prints; help ends the process by itself."""
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 0
    return capsys.readouterr().out


def test_the_command_alone_prints_its_help(capsys):
    assert shown(capsys) == shown(capsys, "--help")


def test_the_help_of_convert_fits_a_screen_and_the_rest_is_one_option_away(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    short = shown(capsys, "convert", "--help")
    assert len(short.splitlines()) <= SCREEN_LINES
    assert "examples:" in short
    assert "--no-overwrite" not in short
    assert "--break-at" not in short
    full = shown(capsys, "convert", "--help-all")
    assert "--break-at ROW" in full
    assert len(full.splitlines()) > SCREEN_LINES


def test_help_lists_every_page_and_shows_one(capsys):
    listed = shown(capsys, "help")
    for topic, title in topics().items():
        assert f"{topic} " in listed
        assert title in listed
    assert shown(capsys, "help", "resume").startswith(f"# {topics()['resume']}\n")


def test_help_of_a_command_without_a_page_is_its_help(capsys):
    assert shown(capsys, "help", "doctor").startswith("usage: wdsremux doctor")


def test_an_unknown_page_is_an_error_with_the_nearest_one(capsys):
    assert main(["help", "functions"]) == 2
    assert "unknown help page 'functions'; did you mean function?" in capsys.readouterr().err


@pytest.mark.parametrize("code", Code)
def test_every_finding_is_explained_with_consequence_remedy_and_example(capsys, code):
    text = shown(capsys, "explain", code.code.lower())
    assert text.startswith(f"{code.code} {code.severity}: {code.title}\n")
    for part in ("Found in:", "Consequence:", "What to do:", "Example:\n  "):
        assert part in text
    assert "{" not in text


def test_an_unknown_finding_is_an_error(capsys):
    assert main(["explain", "W999"]) == 2
    assert "unknown finding 'W999'" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_all_options(capsys, shell):
    script = shown(capsys, "completion", shell)
    for word in ("verify", "doctor", "max-shard-size", "break-at"):
        assert word in script


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ("convert a b --force", "; use --overwrite;"),
        ("convert a b --num-workers 4", "; use --workers;"),
        (
            "convert a b --step resize 256",
            "; the arguments of a step follow '=': --step resize=256;",
        ),
    ],
)
def test_options_of_other_tools_are_answered_with_the_equivalent(capsys, arguments, reported):
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    assert end.value.code == 2
    assert reported in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from wdsremux.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'PIL', 'datasets', 'pyarrow', 'huggingface_hub', 'tqdm', 'shtab', 'boto3',"
        " 'logging', 'hashlib', 'wdsremux.core.events'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_package_names_its_version_and_its_events():
    assert wdsremux.__version__ == wdsremux.__version__.strip() != ""
    for name in ("Note", "Begun", "Advanced", "ShardDone", "Done"):
        assert getattr(wdsremux, name) is getattr(wdsremux.events, name)
    assert {name for name in wdsremux.__all__ if not hasattr(wdsremux, name)} == set()


def test_the_signature_of_convert_shows_the_options():
    import inspect

    from wdsremux.core.keywords import ConvertOptions

    parameters = inspect.signature(wdsremux.convert).parameters
    assert set(ConvertOptions.__annotations__) <= set(parameters)
    assert parameters["quality"].default == 90
