"""Loading in PyTorch: ranks, workers, killed and resumed runs, fork and spawn."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.verified import make_dataset

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).parents[2] / "support" / "torch_ranks.py"
ROWS = 310
"""No multiple of ranks or batches."""


@pytest.fixture(scope="module")
def outs(tmp_path_factory):
    """Return outputs of 1, 3 and 40 shards with the same samples."""
    folder = tmp_path_factory.mktemp("outs")
    found = {}
    for shards in (1, 3, 40):
        each = -(-ROWS // shards)
        out = make_dataset(
            folder / f"{shards}", rows=ROWS, broken=(), max_shard_size="9MB", max_shard_samples=each
        )
        assert len(list(out.glob("*.tar"))) == -(-ROWS // each)
        found[shards] = str(out)
    return found


def run(*arguments, **options):
    command = [sys.executable, "-W", "error", str(PROGRAM), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=250, check=False, **options
    )


def answer(*arguments, **options):
    done = run(*arguments, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def runs(outs, tmp_path_factory):
    """Return batches by (shards, workers) and rank."""
    meeting = tmp_path_factory.mktemp("meeting")
    names = {out: shards for shards, out in outs.items()}
    found = {}
    for out, workers, rank, length, batches in answer(
        "ranks", *outs.values(), env=os.environ | {"MEETING": str(meeting)}
    ):
        assert length == len(batches)
        found.setdefault((names[out], workers), {})[rank] = batches
    return found


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("shards", [1, 3, 40])
def test_four_ranks_see_every_sample_once_in_as_many_batches(runs, shards, workers):
    ranks = runs[shards, workers]
    assert sorted(ranks) == [0, 1, 2, 3]
    seen = itertools.chain(*itertools.chain(*ranks.values()))
    assert sorted(seen) == list(range(ROWS))
    assert {len(batches) for batches in ranks.values()} == {5}
    assert {sum(map(len, batches)) for batches in ranks.values()} == {77, 78}


def test_the_order_does_not_depend_on_workers_or_shards(runs):
    assert all(ranks == runs[1, 0] for ranks in runs.values())


def test_a_killed_run_resumes_with_another_number_of_workers(outs):
    out = outs[3]
    whole = [json.loads(line)[0] for line in run("train", out, "0").stdout.splitlines()]
    assert sorted(itertools.chain(*whole)) == list(range(ROWS))
    for before, after in (("2", "3"), ("4", "0"), ("0", "1")):
        command = [sys.executable, str(PROGRAM), "train", out, before]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            lines = [json.loads(process.stdout.readline()) for _ in range(7)]
            os.killpg(process.pid, signal.SIGKILL)
        state = json.dumps(lines[-1][1])
        rest = [json.loads(line)[0] for line in run("train", out, after, state).stdout.splitlines()]
        assert [batch for batch, _ in lines] + rest == whole


def test_every_way_to_load_gives_every_sample_once(outs):
    found = answer("ways", outs[3])
    assert found.pop("labels of a sampler") == [2]
    assert found.pop("subset") == [3, 1]
    assert all(sorted(seen) == list(range(ROWS)) for seen in found.values()), found.keys()
    assert found["plain fork"] == found["plain spawn"] == found["loader fork"]
    assert found["loader spawn"] == found["loader fork"] != found["second epoch fork"]
    assert found["second epoch spawn"] == found["second epoch fork"]
