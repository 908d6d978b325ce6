"""No hang at exit: streams left open by --limit or by Ctrl-C, through the command and from Python."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support.corpora import write_parquet_dataset
from support.forms import write_class_folders, write_table_beside_images, write_tars
from support.runs import COMMAND, convert, manifest

pytestmark = pytest.mark.integration

IN_TIME_S = 60


def write_parquet(folder, rows):
    return write_parquet_dataset(folder, rows=rows, row_group_size=50, files=3)


def write_streamed_parquet(folder, rows):
    """Write Parquet that only `datasets` can stream: its card chooses columns."""
    corpus = write_parquet(folder, rows)
    config = "- config_name: default\n  data_files: data/*.parquet\n  columns: [image, label]\n"
    (corpus.folder / "README.md").write_text(f"---\nconfigs:\n{config}---\n")
    return corpus


@pytest.mark.parametrize(
    "write", [write_parquet, write_streamed_parquet, write_table_beside_images, write_tars]
)
def test_a_limit_leaves_the_stream_and_ends(hub, tmp_path, write):
    repo, folder = hub.new_repo()
    write(folder, rows=900)
    convert(repo, tmp_path / "out", "--limit", 5, timeout=IN_TIME_S)
    assert manifest(tmp_path / "out")["totals"]["rows"] == 5


@pytest.mark.parametrize("write", [write_parquet, write_streamed_parquet, write_tars])
def test_ctrl_c_in_the_middle_of_a_stream_ends_it(hub, tmp_path, write):
    repo, folder = hub.new_repo()
    write(folder, rows=1500)
    hub.configure(latency_s=0.01, bandwidth=300_000)
    arguments = ["--progress", "none", "--workers", "2", "--max-shard-samples", "50"]
    with subprocess.Popen(
        [COMMAND, "convert", repo, str(tmp_path / "out"), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            until(lambda: any((tmp_path / "out").glob("*.tar")), process)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=IN_TIME_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, errors
    assert " with:\nwdsremux convert" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out" / "index.json").exists()
    hub.configure(latency_s=0.0, bandwidth=0)
    convert(repo, tmp_path / "out", "--workers", 2, "--max-shard-samples", 50)
    assert manifest(tmp_path / "out")["totals"]["rows"] == 1500


def until(condition, process):
    """Wait until something is so, as long as the process runs."""
    ends = time.monotonic() + IN_TIME_S
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < ends
        time.sleep(0.01)  # leaves the processor to the process that is waited for


SCRIPT = """
import sys
import datasets
import wdsremux

if __name__ == "__main__":
    stream = datasets.load_dataset(sys.argv[1], split="train", streaming=True)
    found = wdsremux.convert(stream, sys.argv[2], limit=5, progress="none")
    print(found.totals.rows, flush=True)
"""


@pytest.mark.parametrize("write", [write_streamed_parquet, write_class_folders, write_tars])
def test_a_program_whose_stream_was_left_ends(hub, tmp_path, write):
    repo, folder = hub.new_repo()
    write(folder, rows=1500)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, repo, tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=IN_TIME_S,
        check=False,
    )
    assert done.stdout == "5\n", done.stderr
    assert done.returncode == 0, done.stderr
