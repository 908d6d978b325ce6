"""The code that `show --snippet` prints and that the page on loaders holds runs as it is."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.verified import make_dataset

import wdsremux
from wdsremux.cli.main import main
from wdsremux.cli.snippets import SNIPPETS, snippet
from wdsremux.core.errors import UsageError
from wdsremux.dataset.reader import open_output

pytestmark = pytest.mark.integration

PAGE = Path(wdsremux.__file__).parent / "cli" / "pages" / "loaders.md"
RUN_HERE = ("pytorch", "wids", "datasets")
"""`make test-loaders` runs the others, whose loaders need several GB."""
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("a 'b\" é") / "OUT", rows=70, broken=())


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("kind", RUN_HERE)
def test_a_snippet_reads_every_sample_of_an_epoch(tmp_path, capsysbinary, kind, copies):
    out = make_dataset(tmp_path / "é'\"" / "OUT", rows=30, broken=(), copies=copies)
    assert main(["show", str(out), "--snippet", kind]) == 0
    code = capsysbinary.readouterr().out.decode()
    seen = "labels.tolist()" if kind == "pytorch" else "[label]"
    code = f"seen = []\n{code}    seen += {seen}\nprint(sorted(seen))"
    assert run(code, tmp_path) == f"{sorted([0, 1, 2] * 10)}\n"


def test_a_snippet_without_labels_names_the_image_only(tmp_path, capsysbinary):
    out = make_dataset(tmp_path / "OUT", rows=5, broken=(), label_column="")
    assert main(["show", str(out), "--snippet", "pytorch"]) == 0
    code = capsysbinary.readouterr().out.decode()
    assert run(f"{code}    print(*pixels.shape)", tmp_path) == "5 3 20 24\n"


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_the_code_of_the_page_runs(out, code):
    run(code, out.parent)


@pytest.mark.parametrize("kind", sorted({*SNIPPETS} - {*RUN_HERE}))
@pytest.mark.parametrize("options", [{}, {"cls": True}, {"label_column": ""}])
def test_a_snippet_of_a_heavy_loader_is_code_without_a_leftover(tmp_path, kind, options):
    out = make_dataset(tmp_path / "é'\"" / "OUT", rows=5, broken=(), index="energon", **options)
    with open_output(str(out)) as output:
        if kind == "energon" and options == {"label_column": ""}:
            with pytest.raises(UsageError, match="this output has no label"):
                snippet(kind, output.manifest, str(out))
            return
        code = snippet(kind, output.manifest, str(out))
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    assert ("labels" in names or "label" in names) == ("label_column" not in options)


def test_the_snippet_of_energon_needs_its_files(out):
    with (
        open_output(str(out)) as output,
        pytest.raises(UsageError, match=r"run wdsremux index .* --index energon first"),
    ):
        snippet("energon", output.manifest, str(out))


def test_a_snippet_for_folders_is_refused_for_a_url_or_a_sample(out, capsysbinary):
    assert main(["show", str(out), "5", "--snippet", "pytorch"]) == 2
    assert b"leave KEY out" in capsysbinary.readouterr().err
    assert main(["show", str(out), "--split", "val", "--snippet", "pytorch"]) == 2
    assert b"no split 'val'" in capsysbinary.readouterr().err
