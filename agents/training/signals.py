"""Requests to stop: the first SIGINT (Ctrl-C) or SIGTERM asks training to stop, the second interrupts it at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Whether training was asked to stop.

    Attributes:
        stop: True once it was.
    """

    def __init__(self) -> None:
        self.stop = False

    def handle_signal(self, signal_number: int, frame: FrameType | None) -> None:
        """Record the first signal; raise `KeyboardInterrupt` at the second."""
        if self.stop:
            raise KeyboardInterrupt
        self.stop = True


@contextlib.contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Handle SIGINT and SIGTERM inside the context, if this is the main thread, which alone can."""
    request, former = StopRequest(), {}
    if threading.current_thread() is threading.main_thread():
        former = {number: signal.signal(number, request.handle_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
