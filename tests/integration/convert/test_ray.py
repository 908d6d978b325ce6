"""Lanes on a real Ray cluster of three nodes: driver, task, raylet and node killed, same bytes.

The function holds the last third of the rows of each lane back until the test lets it go on, so
every kill happens while three lanes run and have published one shard each.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.running import Running, wait_until
from support.runs import convert, published

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

CLUSTER = Path(__file__).parents[2] / "support" / "ray_cluster.py"
LANES, SHARD_ROWS = 4, 256
LANE_ROWS = 3 * SHARD_ROWS
HOLD = """
import time
from pathlib import Path

def hold(image):
    while image.getpixel((0, 0))[0] and not Path({gate!r}).exists():
        time.sleep(0.02)
    return image
"""


class Cluster:
    """A cluster in a process of its own."""

    def __init__(self, nodes):
        self._process = subprocess.Popen(
            [sys.executable, str(CLUSTER), str(nodes), "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._process.stdout.readline().strip()

    def kill(self, kind, node):
        self._process.stdin.write(f"{kind} {node}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def cluster():
    """Start three nodes with one CPU each."""
    started = Cluster(3)
    assert re.fullmatch(r"[\d.]+:\d+", started.address)
    yield started
    started.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Write tiny images; those of the last shard of each lane are red."""
    path = tmp_path_factory.mktemp("corpus") / "rows.parquet"
    images = []
    for row in range(LANES * LANE_ROWS):
        held = 255 * (row % LANE_ROWS >= LANE_ROWS - SHARD_ROWS)
        file = io.BytesIO()
        Image.new("RGB", (2, 2), (held, row % 256, row // 256)).save(file, "PNG")
        images.append({"bytes": file.getvalue(), "path": None})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(images, kind)}), path, row_group_size=SHARD_ROWS)
    return path


def shards(out):
    return {path.name: path.stat().st_ino for path in out.glob("*.tar")}


def pid_of_lane(out, lane):
    """Return the process that makes a lane, by its lock."""
    try:
        return json.loads((out / ".wdsremux" / f"lock-lane-{lane}").read_text())["pid"]
    except (FileNotFoundError, ValueError):
        return None


def test_killed_driver_task_raylet_and_node_leave_the_bytes_of_one_machine(
    cluster, source, tmp_path
):
    gate, function, out = tmp_path / "gate", tmp_path / "hold.py", tmp_path / "out"
    function.write_text(HOLD.format(gate=str(gate)))
    options = ("--transform", f"{function}:hold", "--transform-mode", "image")
    options += ("--max-shard-samples", SHARD_ROWS, "--lanes", LANES)
    command = ("convert", source, out, *options, "--progress", "log")
    command += ("--engine", "ray", "--ray-address", cluster.address)
    with Running(*command) as driver:
        driver.wait_for(lambda: len(shards(out)) == 3, "a shard of each of three lanes")
        driver.kill_group()
    before = shards(out)
    wait_until(lambda: not any(map(is_made(out), range(LANES))), "the end of the driver's lanes")
    with Running(*command) as driver:
        driver.wait_for(lambda: all(map(is_made(out), range(3))), "three lanes")
        os.kill(pid_of_lane(out, 0), signal.SIGKILL)
        cluster.kill("raylet", 0)
        cluster.kill("node", 1)
        gate.touch()
        code, said = driver.ended(150)
    assert code == 0, said
    assert "converting" in said
    assert "4 lanes on Ray" in said
    assert "died" in said
    assert not re.search(r"raylet\.|state-dump|INFO", said)
    after = shards(out)
    assert before.items() <= after.items()
    convert(source, tmp_path / "one", *options)
    assert published(out) == published(tmp_path / "one")
    assert len(after) == 3 * LANES


def is_made(out):
    """Return what says whether a living process makes a lane."""

    def check(lane):
        pid = pid_of_lane(out, lane)
        return pid is not None and Path(f"/proc/{pid}").exists()

    return check
