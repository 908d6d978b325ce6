"""Every example of the README runs as it stands there, but for the names of dataset and folder."""

import ast
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

README = (Path(__file__).parents[3] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    line.removeprefix("$ ").split("  #")[0].strip()
    for language, text in BLOCKS
    if language == "console"
    for line in text.splitlines()
    if line.startswith("$ ")
]


def block_with(text):
    (found,) = [block for block in PYTHON if text in block]
    return found


@pytest.fixture
def dataset(hub):
    """Return the ID of a dataset with images as large as photographs."""
    repo, folder = hub.new_repo()
    images = [image for image in jpegs(12) for _ in range(5)]
    write_parquet_dataset(folder, images=images)
    return repo


def run(command, repo, folder, **options):
    words = shlex.split(command.replace("user/dataset", repo))
    assert words[0] == "wdsremux"
    done = wdsremux(*words[1:], cwd=folder, **options)
    assert done.returncode == 0, done.stderr
    return done


def commands_with(text):
    found = [command for command in COMMANDS if text in command]
    assert found
    return found


def test_the_quick_start(dataset, tmp_path):
    for number, image in enumerate(jpegs(60)):
        path = tmp_path / "photos" / f"class-{number % 3}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    (tmp_path / "augment.py").write_text(block_with("image.rotate"))
    (command,) = commands_with("--transform augment.py:augment")
    run(command, dataset, tmp_path)
    found = entries(tmp_path / "out" / "dataset")
    assert {(entry["width"], entry["height"]) for entry in found} == {(224, 224)}
    assert len(found) == 60
    assert {entry["label_name"] for entry in found} == {"class-0", "class-1", "class-2"}
    for verify in commands_with("wdsremux verify"):
        run(verify, dataset, tmp_path)


def test_the_steps(dataset, tmp_path):
    (command,) = commands_with("--step center-crop-scale")
    run(command, dataset, tmp_path)
    assert {entry["width"] for entry in entries(tmp_path / "out" / "founding")} == {256}


def test_the_pattern_that_is_printed_is_read_as_the_readme_reads_it(dataset, tmp_path):
    words = ("--max-shard-samples", "25", "--progress", "log")
    done = convert(dataset, "out/dataset", *words, cwd=tmp_path)
    (pattern,) = re.findall(r"out/dataset/train-\{\d+\.\.\d+\}\.tar", done.stdout)
    code = block_with('decode("pil")').replace("out/dataset/train-{000000..000041}.tar", pattern)
    assert pattern in code
    code += "    print(image.mode, label, entry['label_name'])\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    read = [line.split() for line in done.stdout.splitlines()]
    expected = [(str(e["label"]), e["label_name"]) for e in entries(tmp_path / "out" / "dataset")]
    assert sorted((label, name) for _, label, name in read) == sorted(expected)
    assert {mode for mode, _, _ in read} == {"RGB"}


TORCH = """
import sys, types
import numpy as np
import webdataset

class Images(np.ndarray):
    def permute(self, *axes):
        return self.transpose(axes)

class DataLoader:
    def __init__(self, dataset, batch_size, num_workers):
        self.dataset, self.batch_size = dataset, batch_size

    def __iter__(self):
        samples = list(self.dataset)
        for start in range(0, len(samples), self.batch_size):
            images, labels = zip(*samples[start : start + self.batch_size])
            yield np.stack(images).view(Images), np.asarray(labels, np.int64)

for name in ("torch", "torch.utils", "torch.utils.data"):
    sys.modules[name] = types.ModuleType(name)
torch = sys.modules["torch"]
torch.utils = sys.modules["torch.utils"]
torch.utils.data = sys.modules["torch.utils.data"]
torch.utils.data.DataLoader = DataLoader
torch.utils.data.get_worker_info = lambda: None
"""
"""Stands for PyTorch, which is too large to be installed for one test: batches as its own."""


def test_batches_are_made_for_training_as_the_readme_makes_them(dataset, tmp_path):
    words = ("--max-shard-samples", 25, "--step", "resize=32x24")
    convert(dataset, tmp_path / "out" / "dataset", *words)
    code = block_with("DataLoader(").replace("{000000..000041}", "{000000..000002}")
    code += "    print(*pixels.shape, pixels.dtype, pixels.max() <= 1, *map(int, labels))\n"
    script = TORCH + code
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    *shape, dtype, is_scaled = line.split()[:6]
    assert (shape, dtype, is_scaled) == (["60", "3", "24", "32"], "float64", "True")
    labels = [entry["label"] for entry in entries(tmp_path / "out" / "dataset")]
    assert sorted(map(int, line.split()[6:])) == sorted(labels)


@pytest.mark.parametrize("copies", [1, 2])
def test_load_dataset_gives_the_columns_that_the_readme_names(dataset, tmp_path, copies):
    convert(dataset, tmp_path / "out", "--copies", copies, "--step", "resize=16")
    rows = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert rows.column_names == ["jpg", "json"]
    assert isinstance(rows.features["json"]["label"], datasets.ClassLabel)
    assert len(rows) == 60 * copies
    if copies > 1:
        assert [row["copy"] for row in rows["json"]] == [0] * 60 + [1] * 60


def test_the_python_functions_as_a_script(dataset, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"jpeg_bytes = {jpegs(1)[0]!r}\n"
        + block_with("image.rotate")
        + block_with("wdsremux.convert(").replace("user/dataset", dataset)
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


@pytest.mark.parametrize("code", PYTHON)
def test_every_block_of_python_is_python(code):
    ast.parse(code)


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
def test_what_the_function_leaves_out_is_written_down(dataset, tmp_path, name, mode):
    (tmp_path / "rejecting.py").write_text(REJECTING)
    words = ("--transform", f"rejecting.py:{name}", "--transform-mode", mode, "--max-errors", 0)
    convert(dataset, tmp_path / "out", *words, cwd=tmp_path)
    totals = manifest(tmp_path / "out")["totals"]
    assert totals["rejected"] > 0
    assert totals["samples"] + totals["rejected"] == 60
    assert 0 not in [entry["label"] for entry in entries(tmp_path / "out")]


def test_copies_are_what_the_readme_says(dataset, tmp_path):
    convert(dataset, tmp_path / "out", "--copies", 3, "--step", "random-crop=8")
    assert list(shards(tmp_path / "out")) == [f"train-c{copy}-000000.tar" for copy in range(3)]
    keys = [sample["__key__"] for sample in samples(tmp_path / "out", "train-c2")]
    assert keys == [f"{row:09d}-c2" for row in range(60)]
    assert {entry["copy"] for entry in entries(tmp_path / "out", "train-c2")} == {2}


def test_every_file_and_field_is_named(dataset, tmp_path):
    told = README[README.index("## What lies on disk") : README.index("## Commands")]
    convert(dataset, tmp_path / "out", "--copies", 2, "--key-column", "caption")
    index = manifest(tmp_path / "out")
    fields = {
        *index,
        *index["shardlist"][0],
        *index["totals"],
        *entries(tmp_path / "out", "train-c0")[0],
    }
    assert {name for name in fields if not re.search(rf"\b{name}\b", told)} == {"caption"}
    files = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    stems = {re.sub(r"-c\d-", "-", name) for name in files}
    assert {name for name in stems if name not in told} == set()
