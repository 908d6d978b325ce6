"""Exceptions that leave a worker process."""

import threading

import pytest

from wdsremux.core.errors import TransformError
from wdsremux.processing.engines.failures import (
    Failure,
    WorkerTracebackError,
    exception_from_failure,
    failure_from_exception,
)


class WithLockError(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class PickyError(Exception):
    """Pickles, but cannot be unpickled: its constructor wants more than its args."""

    def __init__(self, row, column):
        super().__init__(f"row {row}, column {column}")


def travelled(exc):
    try:
        raise exc
    except BaseException as raised:  # noqa: BLE001
        return exception_from_failure(failure_from_exception(raised))


def test_an_exception_keeps_its_type_message_and_notes():
    exc = TransformError("bad row")
    exc.add_note("a note")
    arrived = travelled(exc)
    assert type(arrived) is TransformError
    assert arrived.args == ("bad row",)
    assert arrived.__notes__ == ["a note"]


def test_the_traceback_of_the_worker_is_the_cause():
    cause = travelled(ValueError("x")).__cause__
    assert isinstance(cause, WorkerTracebackError)
    assert "test_failures.py" in str(cause)
    assert "raise exc" in str(cause)


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (WithLockError("no pickle"), "WithLockError: no pickle"),
        (PickyError(3, "label"), "PickyError: row 3, column label"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_an_unpicklable_exception_arrives_as_its_message(exc, text):
    arrived = travelled(exc)
    assert type(arrived) is RuntimeError
    assert str(arrived).endswith(text)


def test_an_exception_of_an_unknown_class_arrives_as_its_message():
    unknown = Failure(b"cnowhere_to_be_found\nError\n.", "nowhere.Error: x", "trace")
    assert str(exception_from_failure(unknown)) == "nowhere.Error: x"
