"""A codec that crashes in a thread: the command restarts itself, and rejects the record."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.running import Running, are_gone, wait_until
from support.runs import COMMAND, convert, entries, manifest, rejected, shards, tree, wdsremux

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROWS = 600
KILLER = 523
"""In the third chunk: by then shards of the first are there."""
MARK = b"the mark of a killer"
# The portable kernel: it decodes with simplejpeg, whose function is replaced here.
STEPS = ("--kernel", "portable", "--step", "resize=16", "--max-shard-samples", 20, "--workers", 2)
ONE_REJECTED = ("--max-errors", 1)

# Python imports it at its start: the decoder of every process then minds the mark.
CRASHING_DECODER = """
import ctypes, importlib.abc, importlib.machinery, os, re, signal, sys, time
from pathlib import Path

class Crashing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "wdsremux.transforms.codecs.jpeg":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            decode = module.simplejpeg.decode_jpeg
            def fragile(data, *positional, **options):
                how = os.environ["HOW"]
                if MARK in data:
                    crash(how)
                return decode(data, *positional, **options)
            module.simplejpeg.decode_jpeg = fragile
        spec.loader.exec_module = exec_module
        return spec

def crash(how):
    started = Path(os.environ["STARTED"])
    if how == "holds on":
        started.touch()
        while started.exists():
            time.sleep(0.01)
        return
    if how == "none":
        return
    while not Path(os.environ["AFTER"]).exists():
        time.sleep(0.01)
    if how == "stall":  # with Python's lock held, so that no thread of the run can see it
        re.match("(a+)+$", "a" * 60 + "b")
    if how == "SIGSEGV":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))

MARK = %r
sys.meta_path.insert(0, Crashing())
"""


def with_mark(image):
    """Return a JPEG with a comment (ITU-T T.81, B.2.4.5)."""
    return image[:2] + b"\xff\xfe" + (len(MARK) + 2).to_bytes(2, "big") + MARK + image[2:]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    images = jpegs(ROWS)
    images[KILLER] = with_mark(images[KILLER])
    folder = tmp_path_factory.mktemp("corpus")
    return write_parquet_dataset(folder, images=images, row_group_size=16).folder


@pytest.fixture
def env(tmp_path):
    """Return a function that returns the environment of a decoder with the given behaviour."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CRASHING_DECODER % MARK)

    def get(how):
        started = tmp_path / "started"
        after = tmp_path / "out" / "train-000001.tar"
        site = {"PYTHONPATH": str(tmp_path / "site")}
        return site | {"HOW": how, "STARTED": str(started), "AFTER": str(after)}

    return get


@pytest.mark.parametrize("how", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_a_crashing_codec_rejects_only_its_record(source, tmp_path, env, how):
    done = wdsremux("convert", source, tmp_path / "out", *STEPS, *ONE_REJECTED, env=env(how))
    assert done.returncode == 0, done.stderr
    assert f"wdsremux: the conversion crashed ({how}); starting it again" in done.stderr
    assert "with 2 threads" in done.stderr
    assert re.search(r"with 2 processes; \d+ already done, resuming", done.stderr)
    (item,) = rejected(tmp_path / "out")
    assert (item["position"], item["stage"]) == (KILLER, "transform")
    assert item["reason"] == f"the worker died on this record: killed by {how}"
    kept = [entry["position"] for entry in entries(tmp_path / "out")]
    assert kept == [row for row in range(ROWS) if row != KILLER]
    # The same bytes as from a run in which no thread can crash.
    careful = ("--engine", "processes", *STEPS, *ONE_REJECTED)
    convert(source, tmp_path / "careful", *careful, env=env(how))
    assert shards(tmp_path / "out") == shards(tmp_path / "careful")
    assert wdsremux("verify", tmp_path / "out", "--depth", "pixels").returncode == 0


def test_a_codec_that_stalls_in_a_thread_costs_its_record_the_time_limit(source, tmp_path, env):
    arguments = (*STEPS, *ONE_REJECTED, "--record-timeout", 2)
    done = wdsremux("convert", source, tmp_path / "out", *arguments, env=env("stall"))
    assert done.returncode == 0, done.stderr
    assert (
        "wdsremux: a record exceeds --record-timeout (2 s) in a thread; starting it again with "
        "worker processes, to find the record" in done.stderr
    )
    (item,) = rejected(tmp_path / "out")
    assert (item["position"], item["stage"]) == (KILLER, "transform")
    assert item["reason"] == "the worker died on this record: no progress for 2 s"
    assert manifest(tmp_path / "out")["totals"]["samples"] == ROWS - 1


@pytest.mark.parametrize("place", ["flag", "file"])
def test_the_second_start_resumes_where_the_first_crashed(source, tmp_path, env, place):
    convert(source, tmp_path / "out", "--step", "resize=8")
    (tmp_path / "run.toml").write_text("overwrite = true\n")
    option = ["--overwrite"] if place == "flag" else ["--config", tmp_path / "run.toml"]
    done = wdsremux(
        "convert", source, tmp_path / "out", *STEPS, *ONE_REJECTED, *option, env=env("SIGSEGV")
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"with 2 processes; \d+ already done, resuming", done.stderr)
    assert manifest(tmp_path / "out")["totals"]["samples"] == ROWS - 1


def test_a_run_that_is_killed_is_not_started_again(source, tmp_path, env):
    done = wdsremux("convert", source, tmp_path / "out", *STEPS, env=env("SIGKILL"))
    assert done.returncode == 128 + signal.SIGKILL
    assert "was killed (SIGKILL); the same command resumes it" in done.stderr
    assert not (tmp_path / "out" / "index.json").exists()


def test_with_the_threads_engine_a_crash_ends_the_run(source, tmp_path, env):
    arguments = (*STEPS, "--engine", "threads")
    done = wdsremux("convert", source, tmp_path / "out", *arguments, env=env("SIGSEGV"))
    assert done.returncode == -signal.SIGSEGV
    assert "starting it again" not in done.stderr


@contextlib.contextmanager
def held(source, tmp_path, env):
    """Run a conversion that has come to the marked image and holds on there."""
    with Running("convert", source, tmp_path / "out", *STEPS, env=env("holds on")) as run:
        run.wait_for((tmp_path / "started").exists, "the marked image")
        run.wait_for((tmp_path / "out" / "train-000001.tar").exists, "the second shard")
        yield run


@pytest.mark.parametrize("whom", ["watcher", "work", "group"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_either_process_stops_the_run_once(source, tmp_path, env, whom, number):
    with held(source, tmp_path, env) as run:
        (work,) = run.children()
        if whom == "group":
            os.killpg(run.pid, number)  # as the terminal does
        else:
            os.kill(run.pid if whom == "watcher" else work.pid, number)
        code, errors = run.ended()
    assert code == 128 + number
    assert errors.count(" with:\nwdsremux convert") == 1
    assert "crashed" not in errors
    assert "Traceback" not in errors
    left = [name for name in tree(tmp_path / "out") if name.endswith((".wdsremux-tmp", "lock"))]
    assert left == []


def test_killing_the_supervisor_ends_the_work(source, tmp_path, env):
    with held(source, tmp_path, env) as run:
        (work,) = run.children()
        run.send(signal.SIGKILL)
        try:
            wait_until(lambda: are_gone([work]), "the end of the work", 20)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                work.kill()
        assert run.ended()[0] == -signal.SIGKILL
    convert(source, tmp_path / "out", *STEPS, env=env("none"))
    convert(source, tmp_path / "undisturbed", *STEPS, env=env("none"))
    assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")


def test_job_control_affects_both_processes(source, tmp_path, env):
    with held(source, tmp_path, env) as run:
        for process in (run.psutil, *run.children()):
            status = Path(f"/proc/{process.pid}/status").read_text()
            # What is ignored is inherited: under nohup, SIGHUP is.
            masks = dict(re.findall(r"^(Sig(?:Blk|Cgt)):\s+(\w+)$", status, re.MULTILINE))
            for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGHUP, signal.SIGQUIT):
                assert not any(int(mask, 16) >> number - 1 & 1 for mask in masks.values())
            assert len(masks) == 2
            assert os.getpgid(process.pid) == run.pid


def test_the_lock_names_the_process_that_does_the_work(source, tmp_path, env):
    with held(source, tmp_path, env) as run:
        (work,) = run.children()
        done = convert(source, tmp_path / "out", *STEPS, code=5, env=env("none"))
        assert f"by process {work.pid} on host" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--no-such-option",), ("nowhere", "out")],
    ids=["help", "usage", "source"],
)
def test_exit_code_and_messages_are_those_of_the_work(tmp_path, arguments):
    done = subprocess.run(
        [COMMAND, "convert", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    codes = {"--help": 0, "--no-such-option": 2, "nowhere": 3}
    assert done.returncode == codes[arguments[0]], done.stderr
    assert "Traceback" not in done.stderr
