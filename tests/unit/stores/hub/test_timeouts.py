import socket
import threading
import time

import pytest
from huggingface_hub import HfApi, close_session, get_session

from wdsremux.stores.hub.answers import HttpError
from wdsremux.stores.hub.ranges import HubAccess
from wdsremux.stores.hub.timeouts import bound_requests


@pytest.fixture
def silent():
    """Yield the address of a server that takes connections and never says a word."""
    close_session()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def take():
            try:
                while True:
                    taken.append(server.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()
    close_session()


@pytest.mark.timeout(20)
def test_a_call_without_a_timeout_gets_one(silent):
    bound_requests(HubAccess(0.6))
    began = time.monotonic()
    with pytest.raises(HttpError, match="timed out"):
        HfApi(endpoint=silent).get_paths_info("u/n", ["a"], repo_type="dataset")
    assert time.monotonic() - began < 10


@pytest.mark.timeout(20)
def test_the_innermost_timeout_counts(silent):
    bound_requests(HubAccess(1000))
    bound_requests(HubAccess(0.6))
    with pytest.raises(HttpError, match="timed out"):
        HfApi(endpoint=silent).dataset_info("u/n", timeout=None)


def test_a_timeout_that_a_call_has_is_kept(silent):
    bound_requests(HubAccess(1000))
    with pytest.raises(HttpError, match="timed out"):
        HfApi(endpoint=silent).dataset_info("u/n", timeout=0.2)


@pytest.mark.timeout(20)
def test_a_timeout_longer_than_the_retry_period_is_shortened(silent):
    bound_requests(HubAccess(0.6))
    with pytest.raises(HttpError, match="timed out"):
        HfApi(endpoint=silent).dataset_info("u/n", timeout=1000)


def test_the_session_gets_one_hook_only():
    bound_requests(HubAccess(1))
    before = len(get_session().event_hooks["request"])
    bound_requests(HubAccess(2))
    assert len(get_session().event_hooks["request"]) == before


@pytest.mark.parametrize(
    ("give_up_after_s", "timeout_s"), [(120.0, 10.0), (30.0, 10.0), (3.0, 1.0)]
)
def test_several_attempts_fit_into_the_retry_period(give_up_after_s, timeout_s):
    assert HubAccess(give_up_after_s).timeout_s == timeout_s
