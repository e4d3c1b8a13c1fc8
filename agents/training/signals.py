"""Being asked to stop: the first Ctrl-C, or the signal a cluster sends, is a request; the second Ctrl-C is an order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class StopRequest:
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
def stop_signals() -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM inside; only a process's main thread can."""
    stop_request, before = StopRequest(), {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop_request.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop_request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
