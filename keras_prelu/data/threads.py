"""Work that threads do ahead of time, with the results in order."""

import collections
import concurrent.futures
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keras_prelu.platforms import usable_cores

__all__ = ["CORES", "ahead", "pool"]

CORES = usable_cores()


@contextlib.contextmanager
def pool(threads: int = CORES) -> Iterator[concurrent.futures.Executor]:
    """Run threads in this scope, and cancel what they have not begun at its end.

    Args:
        threads: Number of threads. Defaults to the number of cores.
    """
    executor = concurrent.futures.ThreadPoolExecutor(threads)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def ahead(
    pool: concurrent.futures.Executor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    most: float,
    cost: Callable[[Any], float] = lambda item: 1,
) -> Iterator[Any]:
    """Yield `function(item)` for each item, in order, computed ahead by a pool.

    Args:
        pool: A `concurrent.futures.Executor`.
        function: Function of an item.
        items: Iterable of items.
        most: The largest total cost of items that are computed ahead. A single item may
            cost more.
        cost: Function from an item to a number. Defaults to 1 for every item.
    """
    futures: collections.deque = collections.deque()
    costs = 0.0
    for item in items:
        price = cost(item)
        while futures and costs + price > most:
            future, paid = futures.popleft()
            yield future.result()
            costs -= paid
        futures.append((pool.submit(function, item), price))
        costs += price
    while futures:
        yield futures.popleft()[0].result()
