"""Looking ahead: the order is kept, no more is begun than was asked for, errors come in turn."""

import threading
from itertools import count

import pytest

from wdsremux.stores.reading.prefetch import prefetch

DEADLINE_S = 30


def results(found):
    return [(item, give()) for item, give in found]


def test_results_come_in_order_of_submission():
    later = threading.Event()

    def do(item):
        if item == 0:
            assert later.wait(DEADLINE_S)
        later.set()
        return item * 10

    found = prefetch(do, range(8), at_once=3, name="test")
    assert results(found) == [(item, item * 10) for item in range(8)]


def test_items_are_read_only_a_few_ahead():
    taken = []

    def items():
        for number in count():
            taken.append(number)
            yield number

    found = prefetch(lambda item: item, items(), at_once=3, name="test")
    assert [next(found)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) == 5 + 3
    found.close()


def test_an_error_is_raised_in_its_turn_and_other_results_are_kept():
    def do(item):
        if item == 1:
            raise ValueError("broke")
        return item

    gives = [give for _, give in prefetch(do, range(3), at_once=2, name="test")]
    assert (gives[0](), gives[2]()) == (0, 2)
    with pytest.raises(ValueError, match="broke"):
        gives[1]()


def test_closing_waits_for_running_items_and_starts_no_more():
    begun, go_on = [], threading.Event()

    def do(item):
        begun.append(item)
        if item:
            assert go_on.wait(DEADLINE_S)

    found = prefetch(do, range(9), at_once=1, name="test")
    next(found)
    threading.Timer(0.01, go_on.set).start()
    found.close()
    assert begun in ([0], [0, 1])
