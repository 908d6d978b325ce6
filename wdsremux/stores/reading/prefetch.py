"""Looks ahead in threads for whoever takes results in order: what waits on disks and networks."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Giver = Callable[[], ResultT]
"""Waits for a result and returns it, or raises what came instead."""


def prefetch(
    do: Callable[[ItemT], ResultT], items: Iterable[ItemT], *, at_once: int, name: str
) -> Generator[tuple[ItemT, Giver[ResultT]], None, None]:
    """Yield (item, what gives `do(item)`) in order, while the next `at_once` are worked on.

    Closing the generator waits for what is being worked on. `name` is that of the threads.
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
