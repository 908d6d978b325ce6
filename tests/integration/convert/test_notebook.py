"""A notebook in a real Jupyter kernel: the bar is a widget, results and errors are readable."""

import json

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [
    pytest.mark.integration,
    # Of Jupyter's own sockets, event loops and deprecated calls.
    pytest.mark.filterwarnings("ignore"),
]

CELLS = [
    'import wdsremux\n\nmanifest = wdsremux.convert("demo:", OUT, steps=["resize=32x32"])',
    "manifest",
    "print(repr(manifest))",
    """\
def augment(batch):
    batch["image"] = [image.rotat(3) for image in batch["image"]]
    return batch


wdsremux.convert("demo:", OUT + "2", transform=augment, workers=1, batch_size=20)""",
    "wdsremux.load(OUT)[:3]",
    'wdsremux.convert("demo:", OUT + "3", steps=["resize=32x32"], progress="none")',
]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Return the cells of an executed notebook."""
    folder = tmp_path_factory.mktemp("notebook")
    sources = [f"OUT = {str(folder / 'out')!r}", *CELLS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in sources])
    NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True).execute()
    widgets = notebook.metadata.get("widgets", {})
    shown = json.dumps(widgets, ensure_ascii=False).replace("\u2007", " ")
    return [*notebook.cells[1:], shown]


def texts(cell, kind):
    return "".join(out.get("text", "") for out in cell.outputs if out.get("name") == kind)


def test_a_conversion_shows_a_widget_by_default(cells):
    data = [output.data for output in cells[0].outputs if output.output_type == "display_data"]
    assert any("application/vnd.jupyter.widget-view+json" in each for each in data)
    assert "270 of 270 rows" in cells[-1]
    assert "converting 270 rows with" in texts(cells[0], "stderr")
    assert "train 270 rows" in texts(cells[0], "stderr")
    assert 'split="all" converts every split' in texts(cells[0], "stderr")


def test_a_manifest_is_a_table_and_its_repr_one_line(cells):
    (shown,) = cells[1].outputs
    assert "<td>train</td><td>270</td>" in shown.data["text/html"]
    assert texts(cells[2], "stdout").count("\n") == 1
    assert "<Manifest 'demo'" in texts(cells[2], "stdout")


def test_an_error_of_a_function_in_a_cell_begins_with_the_lines_of_the_cell(cells):
    (error,) = [each for each in cells[3].outputs if each.output_type == "error"]
    assert error.ename == "TransformError"
    first, file, line, *_ = error.evalue.splitlines()
    assert first == "in your function"
    assert file.endswith("line 2, in augment")
    assert line.strip() == 'batch["image"] = [image.rotat(3) for image in batch["image"]]'
    assert "WorkerTracebackError" not in "\n".join(error.traceback)


def test_a_loaded_split_says_what_it_is(cells):
    (shown,) = cells[4].outputs
    assert shown.data["text/plain"].startswith("<LoadedSplit 'train' of ")
    assert "3 of 270 samples" in shown.data["text/plain"]


def test_progress_none_is_silent(cells):
    (shown,) = cells[5].outputs
    assert shown.output_type == "execute_result"
