"""The examples of the README and of the help pages run as they are printed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.runs import convert, entries, manifest, samples, shards, wdsremux

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
PAGES = {path.stem: path.read_text() for path in (ROOT / "wdsremux/cli/pages").glob("*.md")}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def block_with(text, phrase):
    (found,) = [block for block in blocks(text, "python") if phrase in block]
    return found


def commands_of(text):
    """Return the commands of a page, in order, each as its arguments."""
    lines = [line for block in blocks(text, "console") for line in block.splitlines()]
    return [shlex.split(line[2:]) for line in lines if line.startswith("$ ")]


@pytest.fixture
def dataset(hub):
    """Return the ID of a dataset with images as large as photographs."""
    repo, folder = hub.new_repo()
    images = [image for image in jpegs(12) for _ in range(5)]
    write_parquet_dataset(folder, images=images)
    return repo


def run(arguments, folder):
    assert arguments[0] == "wdsremux"
    done = wdsremux(*arguments[1:], cwd=folder)
    assert done.returncode == 0, done.stderr
    return done


def run_python(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_quick_start_runs_as_it_is_printed(tmp_path):
    quick_start = README[README.index("## Quick start") : README.index("## A plan")]
    (tmp_path / "augment.py").write_text(block_with(quick_start, "image.rotate"))
    for arguments in commands_of(quick_start):
        run(arguments, tmp_path)
    found = entries(tmp_path / "out" / "demo")
    assert {(entry["width"], entry["height"]) for entry in found} == {(224, 224)}
    assert len(found) == 270
    assert {entry["width"] for entry in entries(tmp_path / "out" / "steps")} == {256}
    code = block_with(quick_start, "wdsremux.pipeline(")
    code += "    print(*pixels.shape, pixels.dtype, pixels.max().item() <= 1, *labels.tolist())\n"
    lines = [line.split() for line in run_python(code, tmp_path)]
    assert {tuple(line[1:6]) for line in lines} == {("3", "224", "224", "torch.float32", "True")}
    read = [int(label) for line in lines for label in line[6:]]
    assert sorted(read) == sorted(entry["label"] for entry in found)


def test_the_python_example_of_the_readme_runs(tmp_path):
    (line,) = run_python(block_with(README, "wdsremux.convert("), tmp_path)
    assert "samples=270" in line
    assert len(entries(tmp_path / "out" / "python")) == 270


@pytest.mark.parametrize("topic", sorted(PAGES.keys() - {"tutorial"}))
def test_the_commands_of_a_page_run_in_order(dataset, tmp_path, topic):
    commands = commands_of(PAGES[topic])
    if not commands:
        return
    if blocks(PAGES[topic], "python"):
        (tmp_path / "augment.py").write_text(blocks(PAGES[topic], "python")[0])
    if "convert" not in commands[0]:
        convert(dataset, "out/dataset", cwd=tmp_path)
    for arguments in commands:
        places = {"user/dataset": dataset, "/mnt/nas/dataset": str(tmp_path / "nas")}
        run([places.get(word, word) for word in arguments], tmp_path)


def test_the_tutorial_runs_from_the_first_measurement_to_a_trained_network(tmp_path):
    for code in blocks(PAGES["tutorial"], "python"):
        (name,) = re.findall(r"^# (\w+\.py)$", code, re.MULTILINE)
        (tmp_path / name).write_text(code)
    for arguments in commands_of(PAGES["tutorial"]):
        run(arguments, tmp_path)
    assert "<figure>" in (tmp_path / "before.html").read_text()
    assert "<svg" in (tmp_path / "after.html").read_text()
    for source in ("source", "shards"):
        begin = f"import sys, runpy; sys.argv = ['train.py', {source!r}]; sys.path.insert(0, '.')"
        lines = run_python(f"{begin}; runpy.run_path('train.py', run_name='__main__')", tmp_path)
        begun = [line.split(",")[0] for line in lines[:2]]
        assert begun == ["epoch 0: 270 images", "epoch 1: 270 images"]
        assert re.fullmatch(r"validation: \d+ of 30 right", lines[2])


def test_the_pattern_that_is_printed_is_the_one_that_loaders_take(dataset, tmp_path):
    arguments = ("--max-shard-samples", "25", "--progress", "log")
    done = convert(dataset, "out/demo", *arguments, cwd=tmp_path)
    (pattern,) = set(re.findall(r"out/demo/train-\{\d+\.\.\d+\}\.tar", done.stdout))
    assert pattern == "out/demo/train-{000000..000002}.tar"


@pytest.mark.parametrize("copies", [1, 2])
def test_load_dataset_gives_the_columns_that_the_format_page_names(dataset, tmp_path, copies):
    convert(dataset, tmp_path / "out", "--copies", copies, "--step", "resize=16")
    rows = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert rows.column_names == ["jpg", "json", "__key__"]
    assert isinstance(rows.features["json"]["label"], datasets.ClassLabel)
    assert len(rows) == 60 * copies
    if copies > 1:
        assert [row["copy"] for row in rows["json"]] == [0] * 60 + [1] * 60


def test_the_python_page_as_a_script(dataset, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"jpeg_bytes = {jpegs(1)[0]!r}\n"
        + block_with(PAGES["function"], "image.rotate")
        + block_with(PAGES["python"], "wdsremux.convert(").replace("user/dataset", dataset)
    )
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "samples=60" in done.stdout
    assert len(samples(tmp_path / "out" / "dataset")) == 60
    (sample,) = samples(tmp_path / "out" / "mine")
    assert sample["__key__"] == "000001"
    assert sample["json"] == b'{"label":3}'
    assert manifest(tmp_path / "out" / "mine")["totals"]["samples"] == 1


REJECTING = """
import wdsremux

def keep_bright(sample):
    if sample["label"] == 0:
        raise wdsremux.RejectSample("too dark")
    return sample

def keep_some(batch):
    return {**batch, "image": [i if n else None for i, n in zip(batch["image"], batch["label"])]}
"""


@pytest.mark.parametrize(("name", "mode"), [("keep_bright", "sample"), ("keep_some", "batch")])
def test_rows_left_out_by_the_function_are_recorded(dataset, tmp_path, name, mode):
    (tmp_path / "rejecting.py").write_text(REJECTING)
    arguments = ("--transform", f"rejecting.py:{name}", "--transform-mode", mode, "--max-errors", 0)
    convert(dataset, tmp_path / "out", *arguments, cwd=tmp_path)
    totals = manifest(tmp_path / "out")["totals"]
    assert (totals["filtered"] > 0, totals["rejected"]) == (True, 0)
    assert totals["samples"] + totals["filtered"] == 60
    assert 0 not in [entry["label"] for entry in entries(tmp_path / "out")]


def test_copies_are_what_the_format_page_says(dataset, tmp_path):
    convert(dataset, tmp_path / "out", "--copies", 3, "--step", "random-crop=8")
    assert list(shards(tmp_path / "out")) == [f"train-c{copy}-000000.tar" for copy in range(3)]
    keys = [sample["__key__"] for sample in samples(tmp_path / "out", "train-c2")]
    assert keys == [f"{row:09d}-c2" for row in range(60)]
    assert {entry["copy"] for entry in entries(tmp_path / "out", "train-c2")} == {2}


def test_every_file_and_field_is_named(dataset, tmp_path):
    convert(dataset, tmp_path / "out", "--copies", 2, "--key-column", "caption")
    index = manifest(tmp_path / "out")
    fields = {
        *index,
        *index["shardlist"][0],
        *index["totals"],
        *entries(tmp_path / "out", "train-c0")[0],
    }
    assert {name for name in fields if not re.search(rf"\b{name}\b", PAGES["format"])} == {
        "caption"
    }
    files = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    stems = {re.sub(r"-c\d(?=[-.])", "", name) for name in files}
    assert {name for name in stems if name not in PAGES["format"]} == set()
