"""Parallel work in threads.

One small fit gains nothing from a second thread. Two fits at a time, each with one thread, take half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield `work(item)` for every item, in order, with as many calls at a time as torch has threads.

    Every call has one torch thread, and so has the caller until the last result. The results do not depend on the
    number of threads.

    Args:
        work: a function whose calls share no state that they change.
        items: its arguments.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, items)
        return
    # The number of threads is a setting of each thread: it is set here for the caller, and in each worker by its
    # initializer.
    torch.set_num_threads(1)
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as executor:
        try:
            yield from executor.map(work, items)
        finally:
            # A caller that stops early, or an error, must not wait for the items that no worker has begun.
            executor.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
