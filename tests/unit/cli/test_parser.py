import pytest

from wdsremux.cli.main import main
from wdsremux.core.errors import SourceError
from wdsremux.core.recipe import Recipe
from wdsremux.sources.registry import parse


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (
            "convert a.parquet b.parquet out",
            "wdsremux convert: unrecognized arguments: out; if SOURCE is a pattern, quote it: ",
        ),
        ("convert a --out b c", "; OUT is written without --out;"),
        ("convert a b --resize 256", "; built-in steps are written --step resize;"),
        (
            "convert a b --step resize 256",
            "; the arguments of a step follow '=': --step resize=256;",
        ),
        (
            "convert a b --step center-crop-scale 0.7 1 --workers 2",
            "--step center-crop-scale=0.7,1;",
        ),
        ("convert a b --threads 3", "; use --workers;"),
        ("convert a b --foo", "wdsremux convert: unrecognized arguments: --foo; see wdsremux"),
        ("convert a b --mirror", "arguments: --mirror; see wdsremux convert --help"),
        ("convert a b --qualty 3", "; did you mean --quality?;"),
        ("convert a b --sourc 3", "; did you mean --source-kind?;"),
        (
            "repair out --source-kind=tars",
            "; --source-kind is an option of convert, preview and bench, not of repair;",
        ),
        ("index out --depth samples", "; --depth is an option of verify, not of index;"),
        ("verify a b", "wdsremux verify: unrecognized arguments: b; see wdsremux verify --help"),
        ("convrt a b", "; did you mean convert?;"),
        ("convert a b --format jpg", "; did you mean jpeg?;"),
    ],
)
def test_an_extra_argument_is_refused_with_a_suggestion(capsys, arguments, reported):
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    assert end.value.code == 2
    assert reported in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ("demo", "; the demo is demo:"),
        (
            "https://huggingface.co/datasets/ylecun/mnist/blob/main/README.md",
            "; this page shows a part of a dataset; write ylecun/mnist",
        ),
        (
            "ylecun/mnist@main",
            "; write ylecun/mnist --revision main, or hf://datasets/ylecun/mnist@main",
        ),
        ("nothing here", "; check the spelling, or set its kind with --source-kind"),
    ],
)
def test_an_unusable_source_is_refused_with_a_suggestion(arguments, reported):
    with pytest.raises(SourceError) as refused:
        parse(arguments, Recipe())
    assert str(refused.value).endswith(reported)
