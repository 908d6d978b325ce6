"""Heartbeats: heard in a worker process, harmless elsewhere."""

import contextvars
import threading

from wdsremux.core.heartbeat import heartbeat, listen


def test_a_heartbeat_without_a_listener_does_nothing():
    assert heartbeat() is None
    assert heartbeat(within_s=3) is None


def test_a_listener_gets_the_allowed_time():
    messages = []

    def work():
        listen(messages.append)
        heartbeat()
        heartbeat(within_s=30)
        listen(None)
        heartbeat()

    contextvars.Context().run(work)
    assert messages == [None, 30]


def test_a_thread_reports_only_within_its_context():
    messages = []

    def work():
        listen(messages.append)
        for target in (heartbeat, contextvars.copy_context().run):
            args = (1,) if target is heartbeat else (heartbeat, 2)
            thread = threading.Thread(target=target, args=args)
            thread.start()
            thread.join()

    contextvars.Context().run(work)
    assert messages == [2]
