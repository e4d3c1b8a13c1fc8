"""Fits that run at the same time: each can be cancelled, and quick ones overtake long ones."""

from __future__ import annotations

import functools
import threading
import time

from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from goalmaze.envs.errors import GoalmazeError

QUICK_FITS = 2
"""Fits that run at the same time before they turn out to be long."""

QUICK_SECONDS = 3.0
"""A fit that runs longer than this is long: it gives way to quick ones."""

MAX_LONG_FITS = 6
"""Long fits at one time. One of them runs and the others wait for it."""

POLL_SECONDS = 0.2


class FitCancelledError(Exception):
    """Ends a fit for which no page waits any more."""


class TooManyFitsError(GoalmazeError):
    """Refuses a long fit because others are waiting already."""


class FitSlots:
    """What fits take turns at: a few quick ones run at once, and one long one beside them."""

    def __init__(self) -> None:
        self.quick = threading.Semaphore(QUICK_FITS)
        self.long = threading.Semaphore(1)
        self.long_places = threading.Semaphore(MAX_LONG_FITS)


class FitControl:
    """The control of one fit. The thread of the fit calls `check` at every forward pass and every update.

    Args:
        slots: what all fits take turns at.

    Attributes:
        cancelled: set to end the fit.
    """

    def __init__(self, slots: FitSlots) -> None:
        self.cancelled = threading.Event()
        self._slots, self._began = slots, 0.0
        self._acquired: list[threading.Semaphore] = []

    def __enter__(self) -> FitControl:
        _watch_optimisers()
        self._wait_for(self._slots.quick)
        self._began = time.monotonic()
        _current.control = self
        return self

    def __exit__(self, *error: object) -> None:
        _current.control = None
        for semaphore in self._acquired:
            semaphore.release()
        self._acquired.clear()

    def watch(self, network: nn.Module) -> None:
        """Check at every forward pass of a network, which must be this fit's own copy."""
        # A function without a closure over locks, because some methods copy the network with its hooks.
        for module in network.modules():
            module.register_forward_pre_hook(_check_current)

    def check(self) -> None:
        """Give way to other fits where this one has become long.

        Raises:
            FitCancelledError: no page waits for this fit any more.
            TooManyFitsError: too many long fits are waiting already.
        """
        if self.cancelled.is_set():
            raise FitCancelledError
        if self._slots.quick not in self._acquired or time.monotonic() - self._began < QUICK_SECONDS:
            return
        if not self._slots.long_places.acquire(blocking=False):
            raise TooManyFitsError(
                f"{MAX_LONG_FITS} long fits are running already; try again later or choose another method"
            )
        self._acquired.append(self._slots.long_places)
        self._slots.quick.release()
        self._acquired.remove(self._slots.quick)
        self._wait_for(self._slots.long)

    def _wait_for(self, semaphore: threading.Semaphore) -> None:
        while not semaphore.acquire(timeout=POLL_SECONDS):
            if self.cancelled.is_set():
                raise FitCancelledError
        self._acquired.append(semaphore)


class _Current(threading.local):
    """The control of the fit that runs in the present thread."""

    control: FitControl | None = None


_current = _Current()


def _check_current(*_: object) -> None:
    if _current.control is not None:
        _current.control.check()


@functools.cache
def _watch_optimisers() -> None:
    """Check at every update of every optimiser; only threads that run a fit have something to check."""
    # Methods that train on recorded activations run no forward pass of the network for minutes.
    register_optimizer_step_pre_hook(_check_current)
