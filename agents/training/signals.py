"""Being asked to stop: the first Ctrl-C, or the signal a cluster sends, is a request; the second Ctrl-C is an order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Wish:
    """Whether someone wishes training to end.

    Attributes:
        stop: set once somebody does.
    """

    def __init__(self) -> None:
        self.stop = False

    def hear(self, signal_number: int, frame: Any) -> None:
        """Take a signal; the second one interrupts at once."""
        if self.stop:
            raise KeyboardInterrupt
        self.stop = True


@contextlib.contextmanager
def listening() -> Iterator[Wish]:
    """Listen for SIGINT and SIGTERM inside; only a process's main thread can."""
    wish, before = Wish(), {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, wish.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
