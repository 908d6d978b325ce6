"""Runs calls that wait for disks or networks ahead in threads; results are taken in order.

Short because stores, the ledger, `verify`, `repair` and loading share it.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from wdsremux.stores.base import Store

READS_AT_ONCE = 8

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Giver = Callable[[], ResultT]
"""Waits for a result and returns it, or raises the error of the call."""


def prefetch(
    do: Callable[[ItemT], ResultT], items: Iterable[ItemT], *, at_once: int, name: str
) -> Generator[tuple[ItemT, Giver[ResultT]], None, None]:
    """Yield (item, call that returns `do(item)`) in order, while the next `at_once` run.

    Closing the generator waits for the calls in progress. `name` is that of the threads.
    """
    pool = ThreadPoolExecutor(at_once, thread_name_prefix=name)
    begun: deque[tuple[ItemT, Giver[ResultT]]] = deque()
    try:
        for item in items:
            begun.append((item, pool.submit(do, item).result))
            if len(begun) > at_once:
                yield begun.popleft()
        while begun:
            yield begun.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def read_ahead(store: Store, names: Iterable[str], max_bytes: int) -> Iterator[bytes | None]:
    """Yield the contents of small files, in the order of their names, while others are fetched."""
    # Here, in the thread that writes: other threads may not wait for what is queued.
    store.flush()
    results = prefetch(
        lambda name: store.read(name, max_bytes), names, at_once=READS_AT_ONCE, name="entries"
    )
    for _, result in results:
        yield result()
