"""Stop requests: the first SIGINT (Ctrl-C) or SIGTERM requests a stop after the rollout, the second stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """A request to stop training after the rollout under way.

    Attributes:
        stop: whether a stop was requested.
        signal_number: the signal that requested it, SIGINT where it was none.
    """

    def __init__(self) -> None:
        self.stop, self.signal_number = False, int(signal.SIGINT)

    def handle_signal(self, signal_number: int, frame: FrameType | None) -> None:
        """Record the first signal; raise `KeyboardInterrupt` at the second."""
        if self.stop:
            raise KeyboardInterrupt
        self.stop, self.signal_number = True, signal_number


@contextlib.contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Yield a stop request that SIGINT and SIGTERM set inside the context.

    Outside the main thread Python allows no signal handlers; the request is then never set.
    """
    request, former = StopRequest(), {}
    if threading.current_thread() is threading.main_thread():
        former = {number: signal.signal(number, request.handle_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        # Back to the handlers of before: a caller in Python, such as a notebook, has its own.
        for number, handler in former.items():
            signal.signal(number, handler)
