"""Ctrl-C and SIGTERM: an end in time, nothing left behind, and the command that resumes."""

import shlex
import signal

import pytest
from support.corpora import write_parquet_dataset
from support.running import Running, are_gone, wait_until
from support.runs import convert, rejected, tree, wdsremux

pytestmark = pytest.mark.integration

STOPS_WITHIN_S = 10
"""5 s are promised; a test machine may be busy with other things."""

FUNCTIONS = """
import os, pathlib, signal, time

STARTED = pathlib.Path(os.environ["STARTED"])
HOLD = pathlib.Path(os.environ["STARTED"] + ".hold")

def started(image):
    STARTED.with_suffix(f".{os.getpid()}").touch()
    STARTED.touch()

def sleeps(image):
    started(image)
    while HOLD.exists():
        time.sleep(60)
    return image

def loops(image):
    started(image)
    while HOLD.exists():
        pass
    return image

def ignores(image):
    if HOLD.exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        started(image)
    while HOLD.exists():
        try:
            time.sleep(60)
        except BaseException:
            pass
    return image

def swallows(image):
    started(image)
    while HOLD.exists():
        try:
            time.sleep(0.01)
        except BaseException:
            STARTED.with_suffix(".caught").touch()
    return image

def same(batch):
    started(batch)
    if HOLD.exists():
        time.sleep(0.05)
    return batch
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_parquet_dataset(
        tmp_path_factory.mktemp("corpus"), rows=300, row_group_size=64
    ).folder


class Case:
    """A conversion by a function that holds on as long as a file is there."""

    def __init__(self, folder, source):
        (folder / "functions.py").write_text(FUNCTIONS)
        self.folder, self.source, self.out = folder, source, folder / "out"
        self.started, self.hold = folder / "started", folder / "started.hold"
        self.env = {"STARTED": str(self.started)}

    def arguments(self, name, *more, mode="image"):
        function = f"{self.folder}/functions.py:{name}"
        small = ("--max-shard-samples", "30", "--progress", "none")
        return (
            "convert",
            self.source,
            self.out,
            "--transform",
            function,
            "--transform-mode",
            mode,
            *small,
            *more,
        )

    def run(self, name, *more, mode="image"):
        self.hold.touch()
        return Running(*self.arguments(name, *more, mode=mode), env=self.env)

    def has_started(self):
        return self.started.exists()

    def assert_nothing_unfinished(self):
        left = [
            name for name in tree(self.folder / "out") if name.endswith((".wdsremux-tmp", "lock"))
        ]
        assert left == []

    def go_on(self, errors):
        """Run the command that was printed, to its end."""
        reported = errors.split(" with:\n")[1].splitlines()[0]
        self.hold.unlink(missing_ok=True)
        _, *arguments = shlex.split(reported)
        done = wdsremux(*arguments, env=self.env)
        assert done.returncode == 0, done.stderr
        return reported


@pytest.fixture
def case(tmp_path, source):
    return Case(tmp_path, source)


@pytest.mark.parametrize(
    ("name", "number", "workers"),
    [
        ("sleeps", signal.SIGINT, 2),
        ("loops", signal.SIGTERM, 2),
        ("ignores", signal.SIGTERM, 2),
        ("sleeps", signal.SIGTERM, 0),
        ("loops", signal.SIGINT, 0),
    ],
)
def test_a_signal_ends_the_run_in_the_middle_of_a_long_call(case, name, number, workers):
    with case.run(name, "--workers", workers) as run:
        run.wait_for(case.has_started, "the function")
        children = run.children()
        assert len(children) == workers
        run.send(number)
        code, errors = run.ended(STOPS_WITHIN_S)
    assert code == 128 + number
    assert "Traceback" not in errors
    assert f" with:\nwdsremux convert {case.source}" in errors
    wait_until(lambda: are_gone(children), "the end of the workers", STOPS_WITHIN_S)
    case.assert_nothing_unfinished()
    case.go_on(errors)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_printed_command_finishes_with_the_bytes_of_an_uninterrupted_run(
    case, tmp_path, number
):
    arguments = ("--batch-size", "4", "--workers", "2")
    with case.run("same", *arguments, mode="batch") as run:
        run.wait_for((case.out / "train-000002.tar").exists, "the third shard")
        run.send(number)
        code, errors = run.ended(STOPS_WITHIN_S)
    assert code == 128 + number
    case.assert_nothing_unfinished()
    assert not (case.out / "index.json").exists()
    case.go_on(errors)
    finished = tree(case.out)
    (tmp_path / "out").rename(tmp_path / "resumed")
    done = wdsremux(*case.arguments("same", *arguments, mode="batch"), env=case.env)
    assert done.returncode == 0
    assert tree(case.out) == finished


@pytest.mark.parametrize("source_of_option", ["flag", "file"])
def test_the_printed_command_does_not_overwrite_again(case, tmp_path, source_of_option):
    convert(case.source, case.out, "--step", "resize=8")
    (tmp_path / "run.toml").write_text("overwrite = true\n")
    option = ["--overwrite"] if source_of_option == "flag" else ["--config", tmp_path / "run.toml"]
    arguments = ("--batch-size", "4", "--workers", "1", *option)
    with case.run("same", *arguments, mode="batch") as run:
        run.wait_for((case.out / "train-000001.tar").exists, "the second shard")
        run.send(signal.SIGINT)
        _, errors = run.ended(STOPS_WITHIN_S)
    before = (case.out / "train-000000.tar").stat().st_mtime_ns
    reported = case.go_on(errors)
    assert "--overwrite" not in reported
    assert (case.out / "train-000000.tar").stat().st_mtime_ns == before


def test_a_function_that_swallows_the_request_cannot_hold_the_run_up(case):
    with case.run("swallows", "--workers", 0) as run:
        run.wait_for(case.has_started, "the function")
        run.send(signal.SIGTERM)
        code, errors = run.ended(STOPS_WITHIN_S)
    assert code == 143
    assert case.started.with_suffix(".caught").exists()
    # What it left behind is swept away by the next run.
    case.go_on(errors)
    case.assert_nothing_unfinished()


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(case, second):
    with case.run("swallows", "--workers", 0) as run:
        run.wait_for(case.has_started, "the function")
        run.send(signal.SIGINT)
        run.wait_for(case.started.with_suffix(".caught").exists, "the first signal")
        run.send(second)
        code, errors = run.ended(STOPS_WITHIN_S)
    assert code == 128 + second
    # Had it waited, it would have shown the command that resumes.
    assert errors == ""


@pytest.mark.parametrize("phase", ["footers", "rows"])
def test_a_server_that_does_not_answer_does_not_hold_the_run_up(hub, tmp_path, phase):
    repo, folder = hub.new_repo()
    write_parquet_dataset(folder, rows=60)
    silent = {"fault_rate": 1, "fault_kinds": ("stall",), "fault_match": "/cdn/", "stall_s": 60}
    hub.configure(**(silent if phase == "footers" else {"latency_s": 0.3}))
    arguments = ("convert", repo, tmp_path / "out", "--workers", 2, "--progress", "log")
    with Running(*arguments) as run:
        if phase == "rows":
            run.wait_for((tmp_path / "out/.wdsremux/recipe.json").exists, "the end of the footers")
            hub.configure(**silent)
        run.wait_for(lambda: hub.faults, "a request without an answer")
        run.send(signal.SIGINT)
        code, errors = run.ended(STOPS_WITHIN_S)
    assert code == 130
    assert " with:\nwdsremux convert" in errors
    assert "Traceback" not in errors


def test_a_killed_worker_is_replaced_and_no_record_is_rejected(case, tmp_path):
    arguments = ("--batch-size", "4", "--workers", "2")
    with case.run("same", *arguments, mode="batch") as run:
        run.wait_for((case.out / "train-000001.tar").exists, "the second shard")
        for worker in run.children():
            worker.kill()
        case.hold.unlink()
        code, errors = run.ended()
    assert code == 0, errors
    assert rejected(case.out) == []
    found = tree(case.out)
    (tmp_path / "out").rename(tmp_path / "disturbed")
    assert wdsremux(*case.arguments("same", *arguments, mode="batch"), env=case.env).returncode == 0
    assert tree(case.out) == found
