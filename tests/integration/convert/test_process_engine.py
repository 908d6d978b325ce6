"""What travels to worker processes and back, and how long they live; with real processes."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest
from support.engine_work import seen, work_of
from support.running import DEADLINE_S, wait_until

import wdsremux
from wdsremux.core.errors import TransformError
from wdsremux.core.records import Batch
from wdsremux.processing.engines.base import WorkerDiedError
from wdsremux.processing.engines.processes import ProcessEngine

pytestmark = pytest.mark.integration


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


def test_junk_on_the_result_pipe_is_reported_and_takes_no_memory():
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


def test_sys_exit_in_a_worker_is_an_error():
    with pytest.raises(RuntimeError, match="SystemExit: 0"):
        list(ProcessEngine(1).map(work_of("sys.exit(0)"), [0]))


def test_work_that_cannot_be_pickled_says_why_and_what_to_do():
    lock = threading.Lock()

    def make_work():
        return lambda item: iter([lock, item])

    batches = ProcessEngine(1).map(make_work, [1])
    with pytest.raises(TransformError, match=r"cannot send the function.*lock.*FILE\.py:NAME"):
        next(batches)


def test_an_unpicklable_item_is_an_error_at_its_position():
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


def test_modules_importable_in_the_run_are_importable_in_the_worker(tmp_path, monkeypatch):
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
        wait_until(lambda: len(list(tmp_path.glob("worker-*"))) == 2, "the workers")
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
    wait_until(lambda: list(tmp_path.iterdir()), "the worker's child")
    child = psutil.Process(int(next(tmp_path.iterdir()).name))
    batches.close()
    wait_until(lambda: not child.is_running() or child.status() == "zombie", "the child's end")


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
