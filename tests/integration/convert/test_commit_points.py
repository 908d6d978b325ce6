"""Killed at every single file call of a run, and the same command again: the very same bytes.

The killed process is a fork in which the calls are wrapped (tests/support/faults.py); what was published at the moment
of the kill must be whole already.
"""

import random
import re
from collections import Counter

import pyarrow.parquet as pq
import pytest
from support.corpora import write_parquet_dataset
from support.faults import Faults
from support.mixing import MIX
from support.runs import published, step_options, tree

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return a dataset with broken images and with keys that come twice."""
    folder = tmp_path_factory.mktemp("corpus")
    corpus = write_parquet_dataset(folder, rows=22, row_group_size=6, files=2)
    for number, name in enumerate(corpus.files):
        path = folder / name
        table = pq.read_table(path)
        rows = table.to_pylist()
        for i, row in enumerate(rows):
            # Also across the files: the first who has a key keeps it.
            row["caption"] = f"key-{i % 9 + number * 7}"
            if i % 6 == 3:
                row["image"]["bytes"] = b"no image"
        pq.write_table(table.from_pylist(rows, schema=table.schema), path, row_group_size=6)
    return folder


STEPS = step_options("random-resized-crop=24", "hflip")
RICH = (
    *STEPS, "--copies", 2, "--key-column", "caption", "--max-shard-samples", 8,
    "--max-errors", "100%", "--workers", 2, "--engine", "threads",
)  # fmt: skip


def arguments_for(source, out, arguments):
    return ["convert", str(source), str(out), "--progress", "none", *arguments]


class Case:
    """One command: its undisturbed output, and runs of it that are killed."""

    def __init__(self, command, source, arguments, folder):
        self.command, self.source, self.arguments, self.folder = command, source, arguments, folder
        self.trace = folder / "trace"
        out = folder / "reference"
        done = self.run(out, Faults(str(out), trace=str(self.trace)))
        assert done.returncode == 0, done.stderr
        self.reference = tree(out)
        lines = self.trace.read_text().splitlines()
        self.moments = [
            re.sub(r"\.[^.]+\.wdsremux-tmp", "", line.split(" ", 1)[1]) for line in lines
        ]

    def run(self, out, faults=None):
        arguments = arguments_for(self.source, out, self.arguments)
        return self.command.run(*arguments, faults=faults or Faults(str(out)))

    def kill(self, out, moment, *, power_cut=False):
        """Run the command killed at a moment; what is published then must be whole."""
        ended = self.run(out, Faults(str(out), kill_at=moment, power_cut=power_cut))
        partial = [n for n, sha in published(out).items() if self.reference.get(n) != sha]
        assert partial == [], f"killed at moment {moment}: not whole: {partial}"
        return ended

    def finish(self, out, what):
        done = self.run(out)
        assert done.returncode == 0, (what, done.stderr)
        assert tree(out) == self.reference, what

    def check_every_moment(self, moments=None, *, power_cut=False):
        for moment in moments or range(1, len(self.moments) + 1):
            out = self.folder / f"killed-{power_cut}-{moment}"
            ended = self.kill(out, moment, power_cut=power_cut)
            assert ended.was_killed, (moment, ended)
            self.finish(out, f"killed at moment {moment}: {self.moments[moment - 1]}")


@pytest.fixture(scope="module")
def rich(command, source, tmp_path_factory):
    return Case(command, source, RICH, tmp_path_factory.mktemp("rich"))


def test_the_tested_moments_are_all_modifying_calls(rich):
    shards = [name for name in rich.reference if name.endswith(".tar")]
    assert len(shards) == 4
    assert (rich.folder / "reference/.wdsremux/rejected.jsonl").read_text().count("duplicate") > 3
    calls = Counter(moment.rsplit(" ", 1)[0] for moment in rich.moments)
    assert calls["replace"] == len(rich.reference)
    assert calls["fsync"] >= 2 * len(rich.reference)
    assert calls["write (half)"] >= len(rich.reference)
    assert calls["unlink"] == 1


def test_killed_at_every_moment_the_same_command_finishes_with_the_same_bytes(rich):
    rich.check_every_moment()


def test_a_power_cut_at_any_moment_loses_nothing_that_was_published(rich):
    # What a kill leaves was seen above: here a part of the moments is enough.
    rich.check_every_moment(range(1, len(rich.moments), 3), power_cut=True)


@pytest.mark.parametrize("seed", range(3))
def test_killed_repeatedly_the_same_command_finishes_with_the_same_bytes(rich, tmp_path, seed):
    rng = random.Random(seed)  # noqa: S311
    killed = []
    while True:
        killed.append(rng.randint(1, len(rich.moments)))
        ended = rich.kill(tmp_path / "out", killed[-1], power_cut=rng.random() < 0.5)
        if not ended.was_killed:
            break
    assert ended.returncode == 0, (seed, killed, ended.stderr)
    assert tree(tmp_path / "out") == rich.reference, (seed, killed)


def test_with_worker_processes_and_a_batch_function(command, source, tmp_path):
    (tmp_path / "mixing.py").write_text(MIX)
    arguments = ("--transform", f"{tmp_path}/mixing.py:mix", "--batch-size", 8, "--workers", 2)
    arguments += ("--max-errors", "100%", "--max-shard-samples", 8, "--key-column", "caption")
    case = Case(command, source, arguments, tmp_path)
    # The calls are those of the run with threads: here a part of them is enough.
    case.check_every_moment(range(5, len(case.moments), 16))


def test_with_a_source_on_the_hub(command, hub, tmp_path):
    repo, folder = hub.new_repo()
    write_parquet_dataset(folder, rows=22, row_group_size=6, files=2)
    arguments = (*STEPS, "--max-shard-samples", 15, "--workers", 2, "--engine", "threads")
    case = Case(command, repo, arguments, tmp_path)
    case.check_every_moment(range(2, len(case.moments), 7))
