"""Work side by side: small fits gain nothing from a second thread, two of them at a time do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield what `work` makes of every item, in their order; as many at a time as torch has threads, each with one.

    What the caller does meanwhile has one thread too. The results are those of one after another.

    Args:
        work: changes nothing that another call of it reads.
        items: what to work on.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, items)
        return
    torch.set_num_threads(1)
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as crew:
        try:
            yield from crew.map(work, items)
        finally:
            crew.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
