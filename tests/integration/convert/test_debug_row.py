"""`convert --debug-row N` shows what happens to one row, and writes nothing."""

import pytest
from support.runs import wdsremux

FUNCTIONS = """
def failing(batch):
    if "chelsea" in batch["photo"]:
        helper()
    return batch

def helper():
    raise ValueError("no cats")

def added(row):
    return {"image": row["image"].resize((8, 6)), "score": 1.5}

def twice(batch):
    return {name: [v for v in values for _ in (0, 1)] for name, values in batch.items()}

def cut(batch):
    return {**batch, "image": [None] * len(batch["image"])}
"""


@pytest.fixture
def debug(tmp_path):
    (tmp_path / "aug.py").write_text(FUNCTIONS)

    def run(row, *words, code=0):
        done = wdsremux(
            "convert", "demo:", "out", "--limit", 40, "--batch-size", 16, "--debug-row", row,
            *words, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != "_") == ["aug.py"]
        return done.stdout if code in (0, 4) else done.stderr

    return run


def test_the_frames_of_the_users_code_are_shown_and_no_others(debug):
    shown = debug(20, "--transform", "aug.py:failing", code=4)
    assert shown.startswith("row 20 of 'train', in the batch of rows 16 to 31\n")
    assert "  photo: 16 values; of this row: 'chelsea'\n" in shown
    assert "of this row: Image, RGB, 348 × 331\n" in shown
    frames = [line for line in shown.splitlines() if line.lstrip().startswith("File ")]
    assert [line.rsplit(" ", 1)[1] for line in frames] == ["failing", "helper"]
    assert shown.rstrip().endswith("ValueError: no cats")


def test_input_result_and_sample_are_shown_with_the_columns_that_are_added(debug):
    shown = debug(20, "--transform", "aug.py:added", "--transform-mode", "sample")
    assert "input of aug.py:added:\n  label: 0\n" in shown
    assert "returned:\n  image: Image, RGB, 8 × 6\n  score: 1.5\n" in shown
    assert "sample '000000020': jpg 8 × 6, " in shown
    assert shown.count("  score: 1.5\n") == 2


def test_all_samples_of_the_row_are_shown(debug):
    shown = debug(20, "--transform", "aug.py:twice")
    assert "sample '000000016-8': " in shown
    assert "sample '000000016-9': " in shown


def test_a_row_that_is_left_out_says_so(debug):
    shown = debug(3, "--transform", "aug.py:cut")
    assert "filtered: left out by the function\n" in shown


def test_without_a_function_the_sample_after_the_steps_is_shown(debug):
    shown = debug(39, "--step", "resize=32x24")
    assert shown.startswith("row 39 of 'train'\nsample '000000039': jpg 32 × 24, ")


def test_a_row_that_is_not_converted_is_refused(debug):
    shown = debug(40, code=2)
    assert "--debug-row 40: not a row of this conversion, which has 40 rows, from 0 on" in shown
