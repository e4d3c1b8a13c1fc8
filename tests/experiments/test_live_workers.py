"""Fits beside each other: quick ones overtake long ones, one request is fitted once, and a fit nobody needs ends."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from goalmaze.experiments.live import fit_control
from goalmaze.experiments.live.fit_control import FitCancelledError, TooManyFitsError
from goalmaze.experiments.live.workers import Workers


def sgd(parameter: nn.Parameter) -> torch.optim.Optimizer:
    return torch.optim.SGD([parameter], 0.1)


class SlowStore:
    """A store whose fits named "long" run until they are released, and all others end at once."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.began: list[str] = []
        self.ended: list[str] = []

    def fit(self, request: str, watch: Callable[[nn.Module], None]) -> str:
        self.began.append(request)
        network, parameter = nn.Linear(1, 1), nn.Parameter(torch.zeros(1))
        watch(network)
        optimiser = sgd(parameter)
        try:
            while request.startswith("long") and not self.released.is_set():
                # One kind passes observations through the network, the other trains on what it has recorded.
                if request.endswith("updates"):
                    optimiser.step()
                else:
                    network(torch.zeros(1))
                time.sleep(0.005)
        except FitCancelledError:
            self.ended.append(request)
            raise
        return request


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowStore]:
    monkeypatch.setattr(fit_control, "QUICK_SECONDS", 0.1)
    monkeypatch.setattr(fit_control, "POLL_SECONDS", 0.02)
    # The first optimiser of a process imports modules for seconds, in which no fit is checked.
    sgd(nn.Parameter(torch.zeros(1)))
    store = SlowStore()
    yield store
    store.released.set()


def workers(store: SlowStore) -> Any:
    return contextlib.closing(Workers(store))  # type: ignore[arg-type]


def test_long_fits_do_not_block_quick_ones(store: SlowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def quick_beside_long() -> str:
        with workers(store) as running:
            long = [asyncio.create_task(running.fit(f"long {i}")) for i in range(4)]
            await asyncio.sleep(0.05)
            try:
                return str(await asyncio.wait_for(running.fit("quick"), 1.5))
            finally:
                store.released.set()
                await asyncio.gather(*long)
                store.released.clear()

    assert asyncio.run(quick_beside_long()) == "quick"
    monkeypatch.setattr(fit_control, "QUICK_SECONDS", 60.0)
    with pytest.raises(TimeoutError):
        asyncio.run(quick_beside_long())


def test_pages_that_need_the_same_fit_wait_for_one_and_it_ends_with_the_last(store: SlowStore) -> None:
    async def waiting(request: str) -> None:
        with workers(store) as running:
            first, second = (asyncio.create_task(running.fit(request)) for _ in range(2))
            await asyncio.sleep(0.2)
            first.cancel()
            await asyncio.sleep(0.2)
            assert store.ended == [], "another page still waits"
            second.cancel()
            await asyncio.sleep(0.3)

    for request in ("long passes", "long updates"):
        store.began.clear()
        store.ended.clear()
        asyncio.run(waiting(request))
        assert (store.began, store.ended) == ([request], [request])


def test_more_long_fits_than_allowed_are_refused(store: SlowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_control, "MAX_LONG_FITS", 2)

    async def several() -> list[Any]:
        with workers(store) as running:
            fits = [asyncio.create_task(running.fit(f"long {i}")) for i in range(3)]
            await asyncio.sleep(0.8)
            store.released.set()
            return list(await asyncio.gather(*fits, return_exceptions=True))

    refused = [one for one in asyncio.run(several()) if isinstance(one, Exception)]
    assert [type(one) for one in refused] == [TooManyFitsError]
    assert "try again later" in str(refused[0])
