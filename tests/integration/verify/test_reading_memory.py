"""Reading in a process of its own: flat memory over big row groups, and a clean end."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import reader_process
from support.corpora import write_table

pytestmark = pytest.mark.integration

ROW_BYTES = 20_000


def write_one_row_group(folder, rows):
    """Write rows as one row group of small pages."""
    rng = np.random.default_rng(0)
    images = [rng.bytes(ROW_BYTES) for _ in range(rows)]
    head = b"\xff\xd8\xff"
    path = folder / "a.parquet"
    options = {"row_group_size": rows, "write_batch_size": 16, "data_page_size": 1 << 16}
    columns = {"image": [head + data for data in images]}
    write_table(path, columns, use_dictionary=False, **options)


def run(location, mode):
    script = Path(reader_process.__file__)
    command = [sys.executable, str(script), str(location), mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def peak_bytes(location, rows):
    found = json.loads(run(location, "all"))
    assert found["rows"] == rows
    return found["peak_bytes"]


def test_memory_does_not_grow_with_the_row_group_on_disk(tmp_path):
    for rows in (200, 4000):
        write_one_row_group(tmp_path / str(rows), rows)
    small, big = (peak_bytes(tmp_path / str(rows), rows) for rows in (200, 4000))
    assert big < small * 1.1


def test_memory_does_not_grow_with_the_row_group_on_the_hub(hub):
    peaks = []
    for rows in (2000, 6000):  # the smaller one fills the read-ahead
        repo, folder = hub.new_repo()
        write_one_row_group(folder, rows)
        peaks.append(peak_bytes(f"hub:{repo}", rows))
    assert peaks[1] < peaks[0] * 1.1


def test_a_stream_left_open_does_not_keep_the_process_on_disk(tmp_path):
    write_one_row_group(tmp_path, 500)
    assert run(tmp_path, "open") == "left open"


@pytest.mark.parametrize("latency_s", [0.0, 0.1])
def test_a_stream_left_open_does_not_keep_the_process_on_the_hub(hub, latency_s):
    repo, folder = hub.new_repo()
    write_one_row_group(folder, 1500)
    hub.configure(latency_s=latency_s)
    assert run(f"hub:{repo}", "open") == "left open"
