"""The code that `show --snippet` prints and that the page on loaders holds runs as it is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.verified import make_dataset

import wdsremux
from wdsremux.cli.main import main
from wdsremux.cli.snippets import SNIPPETS

pytestmark = pytest.mark.integration

PAGE = Path(wdsremux.__file__).parent / "cli" / "pages" / "loaders.md"
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
@pytest.mark.parametrize("kind", SNIPPETS)
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


def test_a_snippet_for_folders_is_refused_for_a_url_or_a_sample(out, capsysbinary):
    assert main(["show", str(out), "5", "--snippet", "pytorch"]) == 2
    assert b"leave KEY out" in capsysbinary.readouterr().err
    assert main(["show", str(out), "--split", "val", "--snippet", "pytorch"]) == 2
    assert b"no split 'val'" in capsysbinary.readouterr().err
