"""Lanes: several processes make one output, with the bytes that one process makes."""

import signal
import subprocess
import sys

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.runs import shards, tree
from support.runs import wdsremux as run

import wdsremux
from wdsremux.core.errors import CorruptDataError, StoreError, UsageError
from wdsremux.core.events import Note
from wdsremux.stores.folder.store import FolderStore

pytestmark = pytest.mark.integration

OPTIONS = {"steps": ["random-resized-crop=24", "hflip"], "lanes": 3, "workers": 0, "copies": 2}
OPTIONS |= {"max_errors": "5%", "progress": "none"}
FLAGS = [word for step in OPTIONS["steps"] for word in ("--step", step)]
FLAGS += ["--copies", "2", "--max-errors", "5%", "--workers", "1", "--progress", "none"]
MEAN = '''
import numpy as np

def centred(batch):
    """A sample depends on all rows of its batch."""
    mean = np.mean([image.mean() for image in batch["image"]])
    return {"image": [(image // 2 + mean / 2).astype(np.uint8) for image in batch["image"]]}
'''


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    images = jpegs(90)
    images[31] = b"broken"
    return write_parquet_dataset(tmp_path_factory.mktemp("corpus"), images=images).folder


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """The output of one process."""
    out = tmp_path_factory.mktemp("whole") / "out"
    wdsremux.convert(source, out, **OPTIONS)
    return out


def published(out):
    return {name: digest for name, digest in tree(out).items() if not name.endswith("lock")}


def test_lanes_in_any_order_make_the_output_of_one_process(source, whole, tmp_path):
    out, notes = tmp_path / "out", []
    for number in (2, 0):
        manifest = wdsremux.convert(source, out, lane=f"{number}/3", observer=notes.append,
                                    **{**OPTIONS, "progress": None})  # fmt: skip
        assert manifest.totals.shards == 2
        assert not (out / "index.json").exists()
    assert [n.text for n in notes if isinstance(n, Note) and "is finished" in n.text] == [
        f"lane {number}/3 is finished: 2 shards; index.json is written with the last lane"
        for number in (2, 0)
    ]
    with pytest.raises(UsageError, match="series 'train-c0' lacks shard 1"):
        wdsremux.finish(out)
    watched = run("watch", out, "--once")
    assert "lane 1: 0 of 2 shards, 0 %\n" in watched.stdout
    assert watched.stdout.endswith("4 of 6 shards made, 2 of 3 lanes finished\n")
    done = wdsremux.convert(source, out, lane="1/3", **OPTIONS)
    assert done.totals.rejected == 2
    assert published(out) == published(whole)
    assert wdsremux.verify(out, depth="pixels").exit_code == 0
    assert len(wdsremux.load(out, "train")) == 89


def test_lanes_at_once_and_one_that_is_killed_make_the_same_output(source, whole, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "wdsremux", "convert", source, out, *FLAGS]
    lanes = [subprocess.Popen([*command, "--lane", f"{number}/3"]) for number in range(3)]
    first = out / "train-c0-000001.tar"
    while not first.exists() and lanes[1].poll() is None:
        pass
    lanes[1].send_signal(signal.SIGKILL)
    for lane in lanes:
        lane.wait(60)
    again = [subprocess.Popen([*command, "--lane", "1/3"]) for _ in range(2)]
    codes = sorted(lane.wait(60) for lane in again)
    # A second owner is refused while the first works, and does nothing after it.
    assert codes in ([0, 0], [0, 5])
    assert shards(out) == shards(whole)
    assert run("finish", out).returncode == 0
    assert (out / "index.json").read_bytes() == (whole / "index.json").read_bytes()


def test_a_batch_function_sees_the_batches_of_one_process(source, tmp_path):
    (tmp_path / "functions.py").write_text(MEAN)
    options = {"transform": f"{tmp_path / 'functions.py'}:centred", "transform_input": "numpy"}
    options |= {"steps": ["resize=16x16"], "batch_size": 16, "workers": 0, "max_errors": "5%"}
    wdsremux.convert(source, tmp_path / "one", **options)
    for number in range(4):
        wdsremux.convert(source, tmp_path / "lanes", lane=f"{number}/4", **options)
    one, lanes = (wdsremux.load(tmp_path / name, "train") for name in ("one", "lanes"))
    assert len(one) == len(lanes) == 89
    assert all(
        a["image"].tobytes() == b["image"].tobytes() for a, b in zip(one, lanes, strict=True)
    )


def test_a_lane_is_repaired_and_resumed(source, whole, tmp_path):
    out = tmp_path / "out"
    for number in range(3):
        wdsremux.convert(source, out, lane=f"{number}/3", **OPTIONS)
    (out / "train-c1-000001.tar").unlink()
    assert wdsremux.repair(out, workers=0).exit_code == 0
    assert published(out)["train-c1-000001.tar"] == published(whole)["train-c1-000001.tar"]
    assert wdsremux.convert(source, out, lane="0/3", **OPTIONS).totals.samples == 178


def test_the_error_limit_holds_over_all_lanes(source, tmp_path):
    options = {**OPTIONS, "max_errors": 1, "copies": 1}
    for number in range(3):
        wdsremux.convert(source, tmp_path / "out", lane=f"{number}/3", **options)
    (tmp_path / "out" / "index.json").unlink()
    with pytest.raises(CorruptDataError, match="1 of 90 rows, more than --max-errors 0"):
        wdsremux.finish(tmp_path / "out", max_errors=0)
    assert wdsremux.finish(tmp_path / "out", max_errors=1).totals.samples == 89


def test_a_shard_whose_rows_are_all_rejected_is_named(source, tmp_path):
    with pytest.raises(
        CorruptDataError, match=r"train-000000.tar would be empty: .* row 0 to row 2"
    ):
        wdsremux.convert(source, tmp_path / "out", shards=30, where="label > 99", workers=0)


def test_other_commands_wait_for_running_lanes(source, tmp_path):
    with (
        FolderStore(tmp_path / "out").lock("-lane-1"),
        pytest.raises(StoreError, match="being written by process"),
    ):
        wdsremux.convert(source, tmp_path / "out", workers=0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lane": "0/2", "overwrite": True}, "overwrite=True cannot be combined with lane"),
        ({"lane": "0/2", "lanes": 3}, 'lane="0/2" does not fit lanes=3'),
        ({"shards": 2, "extend": True}, "extend=True cannot be combined with shards"),
        (
            {"shards": 2, "max_errors": 1, "max_shard_size": "20kB"},
            r"of its 45 rows; use shards=\d+ or more",
        ),
    ],
)
def test_what_does_not_fit_is_refused(source, tmp_path, options, reason):
    with pytest.raises(UsageError, match=reason):
        wdsremux.convert(source, tmp_path / "out", workers=0, **options)


def test_lanes_cannot_write_to_the_hub(source):
    done = run("convert", source, "hf://datasets/user/name", "--lane", "0/2")
    assert done.returncode == 2
    assert "lanes cannot write to hf://" in done.stderr
