"""Errors, interrupts and the result of `wdsremux.convert` as a Python script shows them."""

import inspect
import re
import subprocess
import sys

import pytest

import wdsremux
from wdsremux.core.errors import TransformError
from wdsremux.core.recipe import Recipe

pytestmark = pytest.mark.integration

SCRIPT = """
import sys
import wdsremux

def helper(image):
    return image.rotat(3)

def augment(batch):
    batch["image"] = [helper(image) for image in batch["image"]]
    return batch

def interrupted(event):
    if isinstance(event, wdsremux.ShardDone):
        raise KeyboardInterrupt

if __name__ == "__main__":
    workers, function = int(sys.argv[2]), {"augment": augment}.get(sys.argv[3])
    wdsremux.convert(
        "demo:", sys.argv[1], workers=workers, transform=function, batch_size=20,
        max_shard_samples=50, observer=interrupted if function is None else None,
    )
"""


def run(tmp_path, *arguments):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, tmp_path / "out", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_error_of_the_function_begins_with_its_own_lines(tmp_path, workers):
    shown = run(tmp_path, workers, "augment")
    assert shown.count("Traceback") == 1
    _, _, error = shown.partition("TransformError: ")
    lines = error.splitlines()
    assert lines[0] == "in your function"
    assert lines[1] == f'  File "{tmp_path}/script.py", line 9, in augment'
    assert "    return image.rotat(3)" in lines
    assert '    batch["image"] = [helper(image) for image in batch["image"]]' in lines
    assert "AttributeError: 'Image' object has no attribute 'rotat'" in error
    assert "(script.py:6)" in lines[-1]
    assert lines[-1].endswith("try it on a few rows with workers=0, limit=5")
    assert "wdsremux" not in error


def test_an_interrupt_says_what_is_kept_and_that_the_call_resumes(tmp_path):
    shown = run(tmp_path, "0", "none")
    assert shown.splitlines()[-2] == "KeyboardInterrupt"
    last = shown.splitlines()[-1]
    # A batch may be reported between the shard and the interrupt.
    assert re.fullmatch(
        r"Kept 1 shard \(50 of 270 rows\)(; \d+ rows will be redone)?\. The same call resumes\.",
        last,
    )


def test_nothing_is_called_kept_before_the_first_shard(tmp_path):
    def interrupt(_event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupted:
        wdsremux.convert("demo:", tmp_path / "out", observer=interrupt)
    assert interrupted.value.__notes__ == ["Nothing is finished yet."]


def test_an_error_has_no_internal_chain(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("nothing")
    with pytest.raises(TransformError, match=r"cannot import broken\.py: NameError") as error:
        wdsremux.convert("demo:", tmp_path / "out", transform=f"{script}:f", workers=2)
    assert error.value.__suppress_context__
    assert error.value.__cause__ is None


def test_notes_name_keyword_arguments(tmp_path):
    events = []
    wdsremux.convert("demo:", tmp_path / "out", observer=events.append)
    (note,) = [event.text for event in events if isinstance(event, wdsremux.Note)]
    assert note.endswith('split="all" converts every split')


def test_a_manifest_is_one_line_and_a_small_table(tmp_path):
    manifest = wdsremux.convert("demo:", tmp_path / "out", progress="none", split="all")
    assert repr(manifest) == (
        f"<Manifest 'demo': {len(manifest.shards)} shards, 21.0 MB, "
        "samples: train 270, validation 30, rejected: 0>"
    )
    table = manifest._repr_html_()
    assert table.count("<tr>") == 3
    assert "<td>validation</td><td>30</td><td>0</td>" in table


def test_the_signature_shows_every_option():
    names = inspect.signature(wdsremux.convert).parameters
    assert {*Recipe.__dataclass_fields__, "workers", "progress", "observer"} - {"transform"} <= {
        *names
    }
