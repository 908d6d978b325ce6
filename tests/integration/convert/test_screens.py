"""What a person sees on terminals of 80 and 140 columns: start, middle, Ctrl-C, error, end."""

import re

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.runs import convert
from support.terminal import on_a_terminal, screen

pytestmark = pytest.mark.integration

ROWS = 400
FUNCTIONS = """
import os, pathlib, time

OUT, HOLD = pathlib.Path(os.environ["OUT"]), pathlib.Path(os.environ["HOLD"])

def held(batch):
    while HOLD.exists() and (OUT / "train-000002.tar").exists():
        time.sleep(0.01)
    return batch

def prints(batch):
    print(f"a print of {len(batch['image'])} rows")
    os.system("echo a program of $$ prints, too > /dev/stderr")
    return batch

def fails(batch):
    if (OUT / "train-000002.tar").exists():
        raise SystemExit("no more")
    return batch
"""
BAR = re.compile(r" *\d+%\|.*\| [\d,]+ of 400 rows, [\d.,]+ images/s, ")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "pets"
    images = jpegs(ROWS)
    images[3] = b"broken"
    return write_parquet_dataset(folder, images=images, row_group_size=50).folder


class Case:
    """A conversion on a terminal by a function that is held after the third shard."""

    def __init__(self, folder, source, columns):
        self.out, self.hold, self.columns = folder / "out", folder / "hold", columns
        self.functions = folder / "functions.py"
        self.functions.write_text(FUNCTIONS)
        self.source = source

    def run(self, name, **keywords):
        arguments = ("convert", self.source, self.out, "--transform", f"{self.functions}:{name}")
        workers = keywords.pop("workers", 2)
        small = ("--batch-size", 10, "--max-shard-samples", 40, "--workers", workers)
        places = {"OUT": str(self.out), "HOLD": str(self.hold), **keywords.pop("env", {})}
        return on_a_terminal((*arguments, *small), self.columns, **keywords, **places)

    def interrupt(self):
        self.hold.touch()
        third = self.out / "train-000002.tar"
        try:
            return self.run(
                "held", interrupt_when=lambda shown: third.exists() and BAR.search(shown)
            )
        finally:
            self.hold.unlink()


@pytest.fixture(params=[80, 140])
def case(request, tmp_path, source):
    return Case(tmp_path, source, request.param)


def test_the_first_lines_say_what_was_found_and_what_is_done(case):
    code, shown = case.run("held")
    assert code == 0, shown
    first, second, bar, *_ = screen(shown)
    assert re.search(r"train 400 rows, 2 files, [\d.]+ kB · image → jpg, label → label", first)
    assert first.endswith(f"{case.out}, shards up to 512.0 MB")
    assert second == "converting 400 rows with 2 processes"
    assert re.match(r"100%\|.+\| 400 of 400 rows, [\d.,]+ images/s, 10 shards, 1 rejected$", bar)
    assert len(bar) <= case.columns
    assert "starting 2 processes" in shown


def test_the_end_sums_up_what_was_rejected_and_shows_what_comes_next(case):
    code, shown = case.run("held")
    assert code == 0, shown
    lines = screen(shown)
    assert "399 samples of 400 rows in 10 shards" in shown
    (example,) = [line for line in lines if line.startswith("  1 × decode: ")]
    assert example.endswith("(row 3)")
    assert f"  all rejected rows: {case.out}/.wdsremux/rejected.jsonl" in shown
    assert "  train, samples per class: " in shown
    assert "train with:" in shown
    assert f'"{case.out}"' in shown
    assert lines[-1] == f"check it with: wdsremux verify {case.out}"


def test_ctrl_c_says_what_is_kept_and_the_command_that_resumes(case):
    code, shown = case.interrupt()
    assert code == 130, shown
    *_, bar, message, command = screen(shown)
    assert BAR.match(bar)
    kept = r"Interrupted\. Kept (\d+) shards \((\d+) of 400 rows\)(; (\d+) rows will be redone)?\."
    found = re.match(kept + " Resume with:$", message)
    assert found, message
    assert int(found[1]) >= 2
    assert command.startswith(f"wdsremux convert {case.source} {case.out} ")
    assert "Traceback" not in shown
    code, shown = case.run("held")
    assert code == 0, shown
    resumed = re.search(r"converting 400 rows with 2 processes; (\d+) already done, res", shown)
    assert resumed, shown
    # The shard that was being published at the moment of Ctrl-C may not be counted as kept.
    assert 0 <= int(resumed[1]) - int(found[2]) <= 40
    assert "399 samples of 400 rows in 10 shards" in shown


def test_an_error_begins_on_a_new_line_and_says_what_is_kept(case):
    code, shown = case.run("fails")
    assert code == 4, shown
    *_, bar, error, kept = screen(shown)
    assert BAR.match(bar)
    assert error.startswith("wdsremux: ")
    assert re.match(r"Kept \d+ shards \(\d+ of 400 rows\)", kept)


def test_nothing_is_reported_as_kept_before_the_first_shard(tmp_path, source):
    case = Case(tmp_path, source, 80)
    code, shown = case.run("held", interrupt_when=lambda shown: "listing" in shown)
    assert code == 130, shown
    *_, message, command = screen(shown)
    assert message.endswith("Interrupted. Run it again with:")
    assert command.startswith("wdsremux convert ")
    assert "Kept" not in shown


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_function_prints_goes_above_the_bar(case, workers):
    code, shown = case.run("prints", workers=workers)
    assert code == 0, shown
    lines = screen(shown)
    # The function gets the first batch once before the bar, too, for the columns that it adds; a
    # worker process may have begun another batch by then.
    assert lines.count("a print of 9 rows") == 2
    assert lines.count("a print of 10 rows") >= 39
    assert (
        len([each for each in lines if re.fullmatch(r"a program of \d+ prints, too", each)]) >= 41
    )
    bars = [number for number, line in enumerate(lines) if line.startswith("100%|")]
    assert len(bars) == 1
    assert bars[0] > max(number for number, line in enumerate(lines) if "a print of" in line)
    assert not [line for line in lines[: bars[0]] if "|" in line]


@pytest.mark.parametrize("columns", [80, 140])
def test_commands_that_read_or_write_bytes_show_a_bar_and_remove_it(tmp_path, source, columns):
    out = tmp_path / "out"
    convert(source, out, "--max-shard-samples", 40)
    code, shown = on_a_terminal(["verify", out], columns)
    assert code == 0, shown
    assert "opening" in shown
    assert " of 10 shards" in shown
    (line,) = screen(shown)
    assert line.startswith("clean: 399 samples in 10 shards")
    code, shown = on_a_terminal(["sync", out, tmp_path / "copy"], columns)
    assert " of 23 files, " in shown
    (line,) = screen(shown)
    assert line.startswith("sent 24 files")
    assert "0 B of 0 B" not in shown


@pytest.mark.parametrize("command", ["verify", "index", "repair", "sync"])
def test_no_progress_is_shown_on_request(tmp_path, source, command):
    out = tmp_path / "out"
    convert(source, out)
    words = [command, out] + [tmp_path / "copy"] * (command == "sync")
    words += ["--index", "wids"] * (command == "index")
    for quiet in (["-q"], ["--progress", "none"]):
        code, shown = on_a_terminal([*words, *quiet], 80)
        assert code == 0, shown
        assert "\r" not in shown.replace("\r\n", "")


def test_colour_is_off_where_it_is_not_wanted(tmp_path, source):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert "\x1b[32m" in Case(tmp_path / "a", source, 80).run("held")[1]
    assert "\x1b[32m" not in Case(tmp_path / "b", source, 80).run("held", env={"NO_COLOR": "1"})[1]
