"""The engine without workers: everything runs in the caller's thread.

Short because each engine is a file of its own, and this one only loops.
"""

from collections.abc import Generator, Iterable

from wdsremux.processing.engines.base import ItemT, MakeWork, Recover, ResultT, Work


class SerialEngine:
    """Runs items one after another in the caller's thread: for debuggers and small jobs."""

    def map(
        self,
        make_work: MakeWork[ItemT, ResultT],
        items: Iterable[ItemT],
        recover: Recover[ItemT, ResultT] | None = None,  # noqa: ARG002 (part of the contract)
    ) -> Generator[ResultT, None, None]:
        """Yield the results of all items, in order."""
        work: Work[ItemT, ResultT] | None = None
        for item in items:
            if work is None:
                work = make_work()
            yield from work(item)
