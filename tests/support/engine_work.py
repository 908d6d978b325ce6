"""Work for engines, written as source code, and its results; short, as it serves two test files."""

import textwrap


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
    """Return what distinguishes batches of `work_of`: (first, rows)."""
    return [(batch.first, batch.rows) for batch in batches]
