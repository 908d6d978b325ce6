"""The core of the parallel engines: the byte bound and the end of a map."""

import logging
import sys
import threading
import time
from dataclasses import dataclass

import pytest

from wdsremux.core.records import Batch
from wdsremux.processing.engines.ordered import OrderedMap, Runner
from wdsremux.processing.engines.threads import ThreadEngine

DEADLINE_S = 30


@dataclass(frozen=True)
class Result:
    item: int
    number: int
    size_bytes: int = 10


class Gated(Runner):
    """Runs items of any number of results; an item waits while its gate is shut."""

    def __init__(self, gates, results):
        self.gates = gates
        self.results = results
        self.made = []
        self.closed = False
        self.stopped = threading.Event()

    def run(self, item):
        if item in self.gates:
            assert self.gates[item].wait(DEADLINE_S)
        for number in range(self.results):
            self.made.append(item)
            yield Result(item, number)

    def stop(self):
        self.stopped.set()
        for gate in self.gates.values():
            gate.set()

    def close(self):
        self.closed = True


def wait_until(condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def in_thread(function):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function()))
    thread.start()
    return thread, answers


def test_results_that_wait_for_the_head_are_bounded_in_bytes():
    gates = {0: threading.Event()}
    runners = [Gated(gates, 100) for _ in range(3)]
    line = OrderedMap(runners, range(3), max_buffer_bytes=50)
    results = line.results()
    thread, answers = in_thread(lambda: next(results))
    wait_until(lambda: sum(len(runner.made) for runner in runners) == 7)
    # 50 bytes wait in the line, and each of the two runners behind the head holds one in its hands.
    assert line._held_bytes == 50
    gates[0].set()
    thread.join(DEADLINE_S)
    assert [answers[0], *results] == [Result(item, n) for item in range(3) for n in range(100)]


def test_a_head_that_is_faster_than_the_caller_is_bounded_too():
    runner = Gated({}, 100)
    line = OrderedMap([runner], range(1), max_buffer_bytes=30)
    results = line.results()
    next(results)
    wait_until(lambda: line._held_bytes == 30 and len(runner.made) == 5)
    assert len(list(results)) == 99


def test_the_head_proceeds_when_others_have_filled_the_queue():
    gates = {0: threading.Event()}
    runners = [Gated(gates, 3) for _ in range(2)]
    line = OrderedMap(runners, range(2), max_buffer_bytes=30)
    results = line.results()
    thread, answers = in_thread(lambda: next(results))
    wait_until(lambda: line._held_bytes == 30)
    gates[0].set()
    thread.join(DEADLINE_S)
    assert answers == [Result(0, 0)]
    assert len(list(results)) == 5


def test_a_result_larger_than_the_bound_is_passed_alone():
    class Large(Runner):
        def run(self, item):
            yield Result(item, 0, size_bytes=1_000)

    line = OrderedMap([Large(), Large()], range(5), max_buffer_bytes=30)
    assert [result.item for result in line.results()] == [0, 1, 2, 3, 4]
    assert line._held_bytes == 0


def test_no_more_runners_start_than_there_are_items():
    runners = [Gated({}, 1) for _ in range(5)]
    assert len(list(OrderedMap(runners, range(2)).results())) == 2
    assert sum(runner.closed for runner in runners) == 2


def test_runners_are_closed_but_not_stopped_when_all_is_done():
    runners = [Gated({}, 1) for _ in range(2)]
    list(OrderedMap(runners, range(9)).results())
    assert all(runner.closed and not runner.stopped.is_set() for runner in runners)


def test_closing_early_stops_runners_that_wait_and_runners_that_work():
    gates = {1: threading.Event()}
    runners = [Gated(gates, 100) for _ in range(2)]
    results = OrderedMap(runners, range(50), max_buffer_bytes=30).results()
    next(results)
    results.close()
    assert all(runner.closed and runner.stopped.is_set() for runner in runners)
    assert sum(len(runner.made) for runner in runners) <= 20


def test_exceptions_that_end_the_program_pass_through_a_runner():
    class Exiting(Runner):
        def run(self, item):
            raise SystemExit(item)
            yield

    with pytest.raises(SystemExit):
        list(OrderedMap([Exiting()], range(3)).results())


def ordinary_work(item):
    for number in range(2):
        yield Batch(item, number, ())


def is_of_the_map(frame):
    """Return whether it is code of the map at work, or of a lock that the map calls itself."""
    codes = [each.f_code for each in (frame, frame.f_back) if each is not None]
    if codes[0].co_filename.endswith("threading.py") and codes[0].co_name != "start":
        codes = codes[1:]
    return codes[0].co_filename.endswith("ordered.py") and codes[0].co_name != "_close"


def living_threads():
    return {thread for thread in threading.enumerate() if thread.is_alive()}


def interrupted_at(number):
    """Run a map and raise KeyboardInterrupt at that line of the caller's; False if it has fewer."""
    seen = 0

    def trace(frame, event, _arg):
        nonlocal seen
        if not is_of_the_map(frame):
            return None
        # The way out itself cannot be guarded: there the hook at the interpreter's exit is left.
        is_leaving = frame.f_code.co_name == "results" and (
            event == "return" or not frame.f_locals["self"]._slots
        )
        if event in ("line", "return") and not is_leaving:
            seen += 1
            if seen == number:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    results = ThreadEngine(2).map(lambda: ordinary_work, range(3))
    sys.settrace(trace)
    try:
        for _ in results:
            pass
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
        results.close()
    return False


def test_an_interrupt_at_any_line_leaves_no_runner_behind(caplog):
    caplog.set_level(logging.INFO)
    before = living_threads()
    number = 1
    while interrupted_at(number):
        assert caplog.records == [], number
        wait_until(lambda: living_threads() == before)
        number += 1
    assert number > 50
