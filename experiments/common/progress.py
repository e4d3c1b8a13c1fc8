"""Progress bars of work that can take more than two seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Iterable[Item], description: str, unit: str) -> Iterator[Item]:
    """Yield items and show on a terminal's standard error how many of them are done; the bar vanishes at the end.

    Args:
        items: what is worked on.
        description: what is done, such as "evaluating".
        unit: what an item is, such as "shift".
    """
    total = len(items) if isinstance(items, Sized) else None
    yield from tqdm(items, total=total, desc=description, unit=unit, leave=False, disable=None)
