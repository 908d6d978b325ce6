"""Rows that came to the source get shards of their own; the old ones are not touched."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from support.corpora import hf_columns, hf_schema, jpegs, write_parquet_dataset
from support.faults import Faults
from support.forked import ForkedCommand
from support.forked_runs import convert, wdsremux
from support.mixing import MIX
from support.runs import manifest, published, rejected, shards, step_options, tree

pytestmark = pytest.mark.integration

OLD, NEW = 30, 50
SMALL = ("--max-shard-samples", 9, "--max-errors", "100%")
STEPS = step_options("random-resized-crop=24", "hflip")


class Growing:
    """A dataset of 30 rows in two files, to which files of 20 rows each come."""

    def __init__(self, folder, split="train"):
        self.folder, self.split = folder, split
        images = jpegs(OLD)
        images[7] = b"broken"
        self.corpus = write_parquet_dataset(folder, split=split, images=images, row_group_size=8)
        self.files = 2

    def grow(self, rows=NEW - OLD):
        """Add a file behind the others."""
        corpus, start = self.corpus, len(self.corpus.images)
        corpus.images += jpegs(rows, seed=start)
        corpus.images[start + 3] = b"broken"
        corpus.labels += [1] * rows
        # Some captions come again: as keys they are doubles.
        corpus.captions += [f"picture {5 * i} of {self.split}" for i in range(start, start + rows)]
        name = f"data/{self.split}-{self.files:05d}-of-99999.parquet"
        table = pa.table(hf_columns(corpus, start, start + rows), schema=hf_schema())
        pq.write_table(table, self.folder / name, row_group_size=8)
        self.files += 1
        return name


@pytest.fixture
def source(tmp_path):
    return Growing(tmp_path / "in")


@pytest.fixture
def function(tmp_path):
    (tmp_path / "mixing.py").write_text(MIX)
    return f"{tmp_path}/mixing.py:mix"


def verify(out):
    done = wdsremux("verify", out, "--depth", "samples")
    assert done.returncode == 0, done.stdout


def assert_extended(source, out, fresh, *arguments, breaks=(OLD,)):
    """Extend an output and check that only shards came, the very ones of a new conversion with breaks."""
    before = shards(out)
    convert(source, out, *arguments, "--extend")
    after = shards(out)
    assert before.items() < after.items()
    assert manifest(out)["recipe"]["break_at"] == list(breaks)
    at = [word for row in breaks for word in ("--break-at", row)]
    convert(source, fresh, *arguments, *at)
    assert shards(fresh) == after
    assert published(fresh).keys() == published(out).keys()
    verify(out)


@pytest.mark.parametrize("case", ["plain", "keys and copies", "batches"])
def test_added_files_give_the_shards_of_a_conversion_with_a_break(source, function, tmp_path, case):
    arguments = {
        "plain": STEPS,
        "keys and copies": (*STEPS, "--copies", 2, "--key-column", "caption"),
        "batches": ("--transform", function, "--batch-size", 8),
    }[case]
    arguments = (*SMALL, *arguments)
    convert(source.folder, tmp_path / "out", *arguments)
    source.grow()
    assert_extended(source.folder, tmp_path / "out", tmp_path / "fresh", *arguments)
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")
    assert manifest(tmp_path / "out")["totals"]["rows"] == NEW


def test_without_the_option_added_files_are_refused_and_the_option_is_named(source, tmp_path):
    convert(source.folder, tmp_path / "out", *SMALL)
    before = tree(tmp_path / "out")
    name = source.grow()
    done = convert(source.folder, tmp_path / "out", *SMALL, code=7)
    assert f"file {name!r} is new" in done.stderr
    assert "--extend to add shards for the new rows" in done.stderr
    assert tree(tmp_path / "out") == before


def test_an_extended_output_is_finished_for_the_command_with_and_without_the_option(
    source, tmp_path
):
    convert(source.folder, tmp_path / "out", *SMALL)
    source.grow()
    convert(source.folder, tmp_path / "out", *SMALL, "--extend")
    before = tree(tmp_path / "out")
    for option in ([], ["--extend"]):
        done = wdsremux("convert", source.folder, tmp_path / "out", *SMALL, *option)
        assert done.returncode == 0
        assert "nothing to do" in done.stdout
    assert tree(tmp_path / "out") == before


def test_an_output_can_be_extended_again_and_again(source, tmp_path):
    arguments = (*SMALL, *STEPS)
    convert(source.folder, tmp_path / "out", *arguments)
    source.grow()
    convert(source.folder, tmp_path / "out", *arguments, "--extend")
    source.grow(11)
    breaks = (OLD, NEW)
    assert_extended(source.folder, tmp_path / "out", tmp_path / "fresh", *arguments, breaks=breaks)
    assert [item["position"] for item in rejected(tmp_path / "out")] == [7, OLD + 3, NEW + 3]


def test_shards_of_an_extended_output_can_be_repaired(source, function, tmp_path):
    arguments = (*SMALL, "--transform", function, "--batch-size", 8)
    convert(source.folder, tmp_path / "out", *arguments)
    source.grow()
    convert(source.folder, tmp_path / "out", *arguments, "--extend")
    whole = tree(tmp_path / "out")
    names = sorted(shards(tmp_path / "out"))
    for name in (names[1], names[3], names[4], names[-1]):
        (tmp_path / "out" / name).unlink()
    (tmp_path / "out/.wdsremux" / names[3].replace(".tar", ".msgpack")).unlink()
    done = wdsremux("repair", tmp_path / "out", "--trust-recorded")
    assert done.returncode == 0, done.stdout + done.stderr
    assert tree(tmp_path / "out") == whole


def test_files_of_another_commit_are_known_by_their_content(hub, tmp_path):
    repo, folder = hub.new_repo()
    source = Growing(folder)
    convert(repo, tmp_path / "out", *SMALL)
    before = shards(tmp_path / "out")
    # As push_to_hub does: the old files get other names, since there are more of them now.
    name = source.grow()
    added = (folder / name).read_bytes()
    (folder / name).unlink()
    operations = []
    for i, old in enumerate(source.corpus.files):
        operations.append(CommitOperationDelete(path_in_repo=old))
        path = f"data/train-{i:05d}-of-00003.parquet"
        data = (folder / old).read_bytes()
        operations.append(CommitOperationAdd(path_in_repo=path, path_or_fileobj=data))
    path = "data/train-00002-of-00003.parquet"
    operations.append(CommitOperationAdd(path_in_repo=path, path_or_fileobj=added))
    HfApi().create_commit(repo, operations, commit_message="grow", repo_type="dataset")
    done = convert(repo, tmp_path / "out", *SMALL, code=7)
    assert "or pass --extend to add shards" in done.stderr
    assert_extended(repo, tmp_path / "out", tmp_path / "fresh", *SMALL)
    assert before.items() < shards(tmp_path / "out").items()


def test_tars_can_be_extended_by_tars(source, tmp_path):
    packed = tmp_path / "packed"
    convert(source.folder, packed, "--max-shard-samples", 10, "--max-errors", "100%")
    last = max(shards(packed))
    (packed / "index.json").unlink()
    kept = (packed / last).read_bytes()
    (packed / last).unlink()
    convert(packed, tmp_path / "out", *SMALL)
    (packed / last).write_bytes(kept)
    row = manifest(tmp_path / "out")["totals"]["rows"]
    assert_extended(packed, tmp_path / "out", tmp_path / "fresh", *SMALL, breaks=(row,))


def test_another_recipe_is_refused_in_extending_too(source, tmp_path):
    convert(source.folder, tmp_path / "out", *SMALL)
    source.grow()
    before = tree(tmp_path / "out")
    done = convert(source.folder, tmp_path / "out", *SMALL, "--extend", "--quality", 70, code=7)
    assert "--quality was 90, now it is 70" in done.stderr
    assert tree(tmp_path / "out") == before


def test_an_unfinished_output_cannot_be_extended(source, tmp_path):
    convert(source.folder, tmp_path / "out", *SMALL)
    (tmp_path / "out" / "index.json").unlink()
    before = tree(tmp_path / "out")
    source.grow()
    done = convert(source.folder, tmp_path / "out", *SMALL, "--extend", code=2)
    assert "--extend needs a finished output" in done.stderr
    assert tree(tmp_path / "out") == before


def test_inserted_rows_are_refused(tmp_path):
    source = Growing(tmp_path / "in", split="train")
    write_parquet_dataset(tmp_path / "in", rows=10, files=1, split="validation")
    convert(tmp_path / "in", tmp_path / "out", *SMALL, "--split", "all")
    source.grow()
    arguments = (*SMALL, "--split", "all", "--extend")
    done = convert(tmp_path / "in", tmp_path / "out", *arguments, code=7)
    assert "--split all cannot be extended: the rows that were added would shift" in done.stderr


def test_rows_of_an_unselected_split_change_no_shard(tmp_path):
    source = Growing(tmp_path / "in", split="validation")
    write_parquet_dataset(tmp_path / "in", rows=20, files=1, split="train")
    convert(tmp_path / "in", tmp_path / "out", *SMALL)
    before = shards(tmp_path / "out")
    source.grow()
    convert(tmp_path / "in", tmp_path / "out", *SMALL, code=7)
    convert(tmp_path / "in", tmp_path / "out", *SMALL, "--extend")
    assert shards(tmp_path / "out") == before
    verify(tmp_path / "out")
    convert(tmp_path / "in", tmp_path / "fresh", *SMALL)
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


def test_killed_at_any_moment_an_extension_resumes_with_and_without_the_option(source, tmp_path):
    with ForkedCommand() as command:

        def run(out, *more, **faults):
            arguments = (*SMALL, "--progress", "none", "--workers", 1, "--engine", "threads", *more)
            layer = Faults(str(out), **faults)
            return command.run("convert", source.folder, out, *arguments, faults=layer)

        begun = tmp_path / "begun"
        assert run(begun).returncode == 0
        standing = shards(begun)
        source.grow()
        assert run(tmp_path / "whole", "--break-at", OLD).returncode == 0
        whole = tree(tmp_path / "whole")
        moment, was_killed = 0, True
        while was_killed:
            moment += 3
            out = tmp_path / f"out{moment}"
            shutil.copytree(begun, out)
            was_killed = run(out, "--extend", kill_at=moment).was_killed
            assert standing.items() <= shards(out).items()
            is_extended = 'break_at": []' not in (out / ".wdsremux/recipe.json").read_text()
            option = [] if is_extended and moment % 2 else ["--extend"]
            done = run(out, *option)
            assert done.returncode == 0, (moment, done.stderr)
            assert tree(out) == whole, moment
        assert moment > 90
