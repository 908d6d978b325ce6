"""Worker processes that die, hang, print, cannot be reached, and lose their parent; with real processes."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

import wdsremux
from wdsremux.core.errors import TransformError
from wdsremux.core.records import Batch
from wdsremux.processing.engines.base import WorkerDiedError, WorkerOverdueError
from wdsremux.processing.engines.processes import ProcessEngine, _ProcessRunner, _program

pytestmark = pytest.mark.integration

DEADLINE_S = 60
deaths = pytest.mark.parametrize(
    ("how", "text"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", r"killed by SIGKILL \(out of memory\?\)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("ctypes.string_at(0)", "killed by SIGSEGV"),
        ("os.abort()", "killed by SIGABRT"),
        ("os._exit(3)", "exited with status 3"),
        ("os._exit(0)", "exited with status 0"),
    ],
)


def work_of(source, **names):
    """Return a `make_work` whose work runs `source` for each item, between two results."""
    code = textwrap.dedent(source)

    def make_work():
        import ctypes
        import os
        import signal
        import sys
        import time

        from wdsremux.core.heartbeat import heartbeat
        from wdsremux.core.records import Batch

        scope = {
            "ctypes": ctypes,
            "heartbeat": heartbeat,
            "os": os,
            "signal": signal,
            "sys": sys,
            "time": time,
            **names,
        }

        def work(item):
            yield Batch(item, 0, ())
            exec(code, scope, {"item": item})  # noqa: S102
            yield Batch(item, 1, ())

        return work

    return make_work


def seen(batches):
    return [(batch.first, batch.rows) for batch in batches]


def wait_until(condition, text):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, text
        time.sleep(0.01)


# --- death


@deaths
def test_a_dying_worker_is_named_at_the_place_of_its_item(how, text):
    batches = ProcessEngine(2).map(work_of(f"if item == 3: {how}"), range(8))
    got = [next(batches) for _ in range(7)]
    assert seen(got) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
    with pytest.raises(WorkerDiedError, match=text):
        next(batches)


def test_recovery_gives_the_missing_results_in_their_place():
    calls = []

    def recover(item, last, death, attempt):
        calls.append((item, last.first, last.rows, str(death)))
        yield Batch(item, 100, ())
        yield Batch(item, 101, ())

    work = work_of("if item in (0, 3, 4): os._exit(9)")
    batches = ProcessEngine(2).map(work, range(6), recover)
    assert seen(batches) == [
        (item, rows)
        for item in range(6)
        for rows in ((0, 100, 101) if item in (0, 3, 4) else (0, 1))
    ]
    assert sorted(calls) == [(item, item, 0, "exited with status 9") for item in (0, 3, 4)]


def test_recovery_tries_items_in_fresh_workers():
    def recover(item, last, death, attempt):
        yield from attempt(item + 1)
        with pytest.raises(WorkerDiedError, match="exited with status 5"):
            list(attempt(item))
        yield from attempt(item + 2)

    work = work_of("if item == 10: os._exit(5)")
    batches = ProcessEngine(1).map(work, [9, 10, 20], recover)
    assert seen(batches) == [
        (9, 0),
        (9, 1),
        (10, 0),
        (11, 0),
        (11, 1),
        (12, 0),
        (12, 1),
        (20, 0),
        (20, 1),
    ]


def test_an_attempt_that_is_left_early_does_not_disturb_the_next():
    def recover(item, last, death, attempt):
        for number in (50, 60, 70):
            with contextlib.closing(attempt(number)) as results:
                yield next(results)

    work = work_of("if item == 1: os._exit(5)")
    batches = ProcessEngine(1).map(work, [1, 2], recover)
    assert seen(batches) == [(1, 0), (50, 0), (60, 0), (70, 0), (2, 0), (2, 1)]


def test_a_death_in_the_recovery_reaches_the_caller():
    def recover(item, last, death, attempt):
        yield from attempt(item)

    batches = ProcessEngine(1).map(work_of("os._exit(5)"), range(3), recover)
    with pytest.raises(WorkerDiedError, match="exited with status 5"):
        list(batches)


def test_a_worker_that_dies_while_idle_is_replaced_and_no_item_is_blamed():
    runner = _ProcessRunner(_program(work_of("pass")), None, None)
    try:
        assert seen(runner.run(0)) == [(0, 0), (0, 1)]
        first = runner._worker
        os.kill(first._process.pid, signal.SIGKILL)
        wait_until(lambda: not first.is_running(), "it does not die")
        assert seen(runner.run(1)) == [(1, 0), (1, 1)]
        assert runner._worker is not first
    finally:
        runner.close()


def test_a_worker_that_dies_while_starting_is_a_clear_error_and_not_a_loop(tmp_path):
    def make_work():
        import os

        tmp_path.joinpath(str(os.getpid())).touch()
        os._exit(4)

    with pytest.raises(TransformError, match="died while starting: exited with status 4"):
        list(ProcessEngine(2).map(make_work, range(1000)))
    assert len(list(tmp_path.iterdir())) <= 8


# --- hanging


def test_an_endless_loop_is_ended_and_named():
    batches = ProcessEngine(2, result_timeout_s=1).map(work_of("while item == 1: pass"), range(4))
    got = [next(batches) for _ in range(3)]
    assert seen(got) == [(0, 0), (0, 1), (1, 0)]
    with pytest.raises(WorkerOverdueError, match="no progress for 1 s"):
        next(batches)


def test_an_endless_loop_can_be_recovered_from():
    def recover(item, last, death, attempt):
        yield Batch(item, 7, ())

    engine = ProcessEngine(2, result_timeout_s=1)
    batches = engine.map(work_of("while item == 1: pass"), range(3), recover)
    assert seen(batches) == [(0, 0), (0, 1), (1, 0), (1, 7), (2, 0), (2, 1)]


def test_heartbeats_keep_slow_work_alive():
    code = """
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            heartbeat()
    """
    batches = ProcessEngine(1, result_timeout_s=1).map(work_of(code), [0])
    assert seen(batches) == [(0, 0), (0, 1)]


def test_a_heartbeat_may_ask_for_more_time():
    code = """
        heartbeat(within_s=30)
        end = time.monotonic() + 2
        while time.monotonic() < end: pass
    """
    batches = ProcessEngine(1, result_timeout_s=1).map(work_of(code), [0])
    assert seen(batches) == [(0, 0), (0, 1)]


def test_a_heartbeat_may_allow_less_time():
    code = "heartbeat(within_s=1.5)\nwhile True: pass"
    batches = ProcessEngine(1, result_timeout_s=500).map(work_of(code), [0])
    with pytest.raises(WorkerDiedError, match=r"no progress for 1\.5 s"):
        list(batches)


def test_more_time_lasts_until_the_next_heartbeat():
    code = """
        heartbeat(within_s=500)
        heartbeat()
        while True: pass
    """
    batches = ProcessEngine(1, result_timeout_s=1).map(work_of(code), [0])
    with pytest.raises(WorkerOverdueError, match="no progress for 1 s"):
        list(batches)


def test_a_death_before_the_first_result_is_recovered_with_nothing_seen():
    def make_work():
        import os

        return lambda _: os._exit(1)

    def recover(item, last, death, attempt):
        yield Batch(item, 1 if last is None else 2, ())

    assert seen(ProcessEngine(1).map(make_work, [5], recover)) == [(5, 1)]


def test_a_slow_caller_is_not_the_worker_s_fault():
    """The worker waits for room in the line for longer than its time limit."""
    engine = ProcessEngine(1, max_buffer_bytes=1, result_timeout_s=1)

    def make_work():
        from wdsremux.core.records import Batch, PackedSamples

        def work(item):
            for number in range(4):
                yield Batch(item, number, (PackedSamples(bytes(3_000_000), [], [], [], [], []),))

        return work

    batches = engine.map(make_work, [0])
    got = [next(batches)]
    end = time.monotonic() + 2.5
    wait_until(lambda: time.monotonic() > end, "the clock stands still")
    assert seen([*got, *batches]) == [(0, n) for n in range(4)]


# --- what travels


def test_what_the_function_prints_cannot_damage_the_results(capfd):
    code = """
        print("printed", item)
        os.write(1, b"written\\n")
        os.system("echo from a shell")
        sys.stdin.read()
    """
    batches = ProcessEngine(2).map(work_of(code), range(3))
    assert seen(batches) == [(item, rows) for item in range(3) for rows in range(2)]
    out, err = capfd.readouterr()
    assert out == ""
    for text in ("printed 2", "written", "from a shell"):
        assert text in err


def test_junk_on_the_pipe_of_results_is_told_and_takes_no_memory():
    junk = """
        for number in range(3, 40):
            try:
                os.write(number, b"junk" * 10)
            except OSError:
                pass
    """
    batches = ProcessEngine(1).map(work_of(junk), [0])
    assert next(batches) == Batch(0, 0, ())
    with pytest.raises(TransformError, match=r"malformed message b'junkjunkj': your function or"):
        next(batches)


def test_results_may_be_huge():
    def make_work():
        from wdsremux.core.records import Batch, PackedSamples

        def work(item):
            payload = bytes([item]) * 50_000_000
            yield Batch(item, 1, (PackedSamples(payload, [], [], [], [], []),))

        return work

    for number, batch in enumerate(ProcessEngine(2).map(make_work, range(3))):
        payload = batch.packed[0].payload
        assert len(payload) == 50_000_000
        assert payload[0] == payload[-1] == number


def test_an_exception_that_cannot_be_pickled_is_still_readable():
    code = """
        import threading
        class OddError(Exception):
            pass
        error = OddError("odd row")
        error.lock = threading.Lock()
        raise error
    """
    with pytest.raises(RuntimeError, match="OddError: odd row") as caught:
        list(ProcessEngine(1).map(work_of(code), [0]))
    assert "in a worker process" in str(caught.value.__cause__)


def test_leaving_by_sys_exit_is_an_error_and_no_success():
    with pytest.raises(RuntimeError, match="SystemExit: 0"):
        list(ProcessEngine(1).map(work_of("sys.exit(0)"), [0]))


def test_work_that_cannot_be_pickled_says_why_and_what_to_do():
    lock = threading.Lock()

    def make_work():
        return lambda item: iter([lock, item])

    batches = ProcessEngine(1).map(make_work, [1])
    with pytest.raises(TransformError, match=r"cannot send the function.*lock.*FILE\.py:NAME"):
        next(batches)


def test_an_item_that_cannot_be_pickled_says_so_at_its_place():
    batches = ProcessEngine(1).map(work_of("pass"), [1, threading.Lock()])
    assert seen([next(batches), next(batches)]) == [(1, 0), (1, 1)]
    with pytest.raises(TransformError, match="cannot send lock to a worker process"):
        next(batches)


def test_a_module_the_worker_cannot_import_is_named(tmp_path, monkeypatch):
    (tmp_path / "fleeting_module.py").write_text("def make_work():\n    return iter\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import fleeting_module

    batches = ProcessEngine(1).map(fleeting_module.make_work, [1])
    (tmp_path / "fleeting_module.py").unlink()
    with pytest.raises(TransformError, match=r"cannot load the function.*fleeting_module"):
        list(batches)
    sys.modules.pop("fleeting_module")


def test_what_imports_in_the_run_imports_in_the_worker(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("NUMBER = 41\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "import only_here\nassert only_here.NUMBER == 41"
    assert len(list(ProcessEngine(1).map(work_of(code), [0]))) == 2


def test_workers_keep_libraries_from_starting_threads_of_their_own(monkeypatch):
    monkeypatch.setenv("MKL_NUM_THREADS", "4")
    code = """
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert os.environ["MKL_NUM_THREADS"] == "4", "what the user has set wins"
    """
    assert len(list(ProcessEngine(1).map(work_of(code), [0]))) == 2


@pytest.mark.parametrize("given", [None, "random", "1234"])
def test_sets_of_strings_have_one_order_in_every_worker_whatever_the_user_s_seed(
    monkeypatch, given
):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    command = [sys.executable, "-c", "print(hash('a'))"]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=DEADLINE_S)
    if given is None:
        monkeypatch.delenv("PYTHONHASHSEED")
    else:
        monkeypatch.setenv("PYTHONHASHSEED", given)
    work = work_of('assert hash("a") == hash_of_a', hash_of_a=int(answer.stdout))
    assert len(list(ProcessEngine(1).map(work, [0]))) == 2


# --- the life of the processes


def test_the_user_s_main_module_needs_no_guard_and_is_not_run_again(tmp_path):
    source = """
        from wdsremux.processing.engines.processes import ProcessEngine
        from wdsremux.core.records import Batch

        FACTOR = 10

        def twice(number):
            return 2 * number * FACTOR

        def work(item):
            yield Batch(twice(item), 1, ())

        print("main runs")
        print([batch.first for batch in ProcessEngine(2).map(lambda: work, range(4))])
    """
    assert outcome(started(tmp_path, source)) == ("main runs\n[0, 20, 40, 60]\n", "", 0)


def test_a_map_left_open_does_not_hang_the_interpreter_at_its_exit(tmp_path):
    source = """
        from wdsremux.processing.engines.processes import ProcessEngine
        from wdsremux.processing.engines.threads import ThreadEngine
        from wdsremux.core.records import Batch

        def work(item):
            while True:
                yield Batch(item, 1, ())

        left = [engine(2).map(lambda: work, range(9)) for engine in (ProcessEngine, ThreadEngine)]
        print([next(batches).first for batches in left])
    """
    assert outcome(started(tmp_path, source)) == ("[0, 0]\n", "", 0)


def started(folder, source):
    """Start a script of the user's, in a process group of its own."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(source))
    return subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(Path(wdsremux.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def outcome(process):
    out, err = process.communicate(timeout=DEADLINE_S)
    return out, err, process.returncode


HOLDING = {
    "python that never ends": "while True: pass",
    "nothing, as there is no item": "yield Batch(item, 1, ())",
}
if sys.platform == "linux":  # elsewhere such a worker lives until the native code comes back
    HOLDING["native code that holds the interpreter's lock"] = "ctypes.PyDLL(None).sleep(600)"


@pytest.mark.parametrize("holding", HOLDING)
def test_workers_end_when_their_parent_is_killed(tmp_path, holding):
    source = f"""
        import ctypes, os, time
        from pathlib import Path
        from wdsremux.processing.engines.processes import ProcessEngine
        from wdsremux.core.records import Batch

        def work(item):
            Path({str(tmp_path)!r}, f"worker-{{os.getpid()}}-{{item}}").touch()
            {HOLDING[holding]}
            yield Batch(item, 1, ())

        def items():
            yield from range(2)
            time.sleep(600)

        list(ProcessEngine(2).map(lambda: work, items()))
    """
    parent = started(tmp_path, source)
    try:
        wait_until(lambda: len(list(tmp_path.glob("worker-*"))) == 2, "the workers never started")
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
    finally:
        parent.kill()
        parent.communicate(timeout=DEADLINE_S)
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_an_interrupt_from_the_keyboard_reaches_the_caller_and_no_worker(tmp_path):
    source = """
        import signal

        from wdsremux.processing.engines.processes import ProcessEngine
        from wdsremux.core.records import Batch

        # A shell that runs the tests in the background lets them ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        def work(item):
            number = 0
            while True:
                yield Batch(item, number, ())
                number += 1

        try:
            for batch in ProcessEngine(2).map(lambda: work, range(4)):
                if batch.rows == 0:
                    print("started", flush=True)
        except KeyboardInterrupt:
            print("interrupted")
    """
    parent = started(tmp_path, source)
    assert parent.stdout.readline() == "started\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    os.killpg(parent.pid, signal.SIGINT)  # as the terminal does
    assert outcome(parent) == ("interrupted\n", "", 0)
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_a_worker_s_own_children_end_with_it(tmp_path):
    code = """
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        open(os.path.join(folder, str(child.pid)), "w").close()
    """
    work = work_of(code + "    while True: pass", folder=str(tmp_path))
    batches = ProcessEngine(1).map(work, [0])
    assert seen([next(batches)]) == [(0, 0)]
    wait_until(lambda: list(tmp_path.iterdir()), "the worker's child never started")
    child = psutil.Process(int(next(tmp_path.iterdir()).name))
    batches.close()
    wait_until(lambda: not child.is_running() or child.status() == "zombie", "it lives on")


def test_a_fork_of_the_worker_does_not_hide_its_death(tmp_path):
    code = """
        forked = os.fork()
        if forked == 0:
            time.sleep(600)
            os._exit(0)
        open(os.path.join(folder, str(forked)), "w").close()
        os._exit(6)
    """
    try:
        with pytest.raises(WorkerDiedError, match="exited with status 6"):
            list(ProcessEngine(1).map(work_of(code, folder=str(tmp_path)), [0]))
    finally:
        for path in tmp_path.iterdir():
            os.kill(int(path.name), signal.SIGKILL)
