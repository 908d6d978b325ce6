"""Worker processes that die or hang: named at the place of their item, and recovered from."""

import contextlib
import os
import signal
import time

import pytest
from support.engine_work import seen, work_of
from support.running import wait_until

from wdsremux.core.errors import TransformError
from wdsremux.core.records import Batch
from wdsremux.processing.engines.base import WorkerDiedError, WorkerOverdueError
from wdsremux.processing.engines.processes import ProcessEngine, _ProcessRunner, _program

pytestmark = pytest.mark.integration

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


# --- death


@deaths
def test_a_dying_worker_is_reported_at_the_position_of_its_item(how, text):
    batches = ProcessEngine(2).map(work_of(f"if item == 3: {how}"), range(8))
    got = [next(batches) for _ in range(7)]
    assert seen(got) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
    with pytest.raises(WorkerDiedError, match=text):
        next(batches)


def test_recovery_returns_the_missing_results_in_order():
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


def test_a_worker_that_dies_while_idle_is_replaced_without_an_error():
    runner = _ProcessRunner(_program(work_of("pass")), None, None)
    try:
        assert seen(runner.run(0)) == [(0, 0), (0, 1)]
        first = runner._worker
        os.kill(first._process.pid, signal.SIGKILL)
        wait_until(lambda: not first.is_running(), "the worker's death")
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
    wait_until(lambda: time.monotonic() > end, "the clock")
    assert seen([*got, *batches]) == [(0, n) for n in range(4)]
