"""What is kept for later is counted in bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from goalmaze.experiments.live import session as live_session
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.memory import ByteCache, tensor_bytes
from goalmaze.experiments.live.messages import Move
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Settings


@dataclasses.dataclass
class Holder:
    parts: tuple[torch.Tensor, ...]
    table: dict[str, np.ndarray]


def test_the_bytes_of_all_tensors_are_counted_once() -> None:
    tensor = torch.zeros(100)
    holder = Holder((tensor, tensor[:10]), {"a": np.zeros(50, np.uint8)})
    assert tensor_bytes(holder) == 400 + 50
    assert tensor_bytes([holder, holder]) == 450
    assert tensor_bytes(["a", 1, None, Holder]) == 0


def test_the_oldest_values_go_first_and_the_newest_stays() -> None:
    cache: ByteCache[int, np.ndarray] = ByteCache(250)
    for key in range(3):
        cache.put(key, np.zeros(100, np.uint8))
    assert [key in cache for key in range(3)] == [False, True, True]
    cache.put(1, np.zeros(20, np.uint8))
    assert cache.bytes == 120
    cache.put(9, np.zeros(1000, np.uint8))
    assert (len(cache), cache.bytes) == (1, 1000)
    assert cache.get(1) is None
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_a_page_keeps_few_inspections_of_large_mazes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_session, "INSPECTION_BYTES", 60_000)
    store, kept = AgentStore("zoo:green-exit"), {}
    for size in (5, 13):
        session = Session(store, Settings(agent="zoo:green-exit", size=size))
        for cell in np.flatnonzero(session.scene.level.free()[0])[:20].tolist():
            session.handle(Move(what="target", cell=cell))
            session.state()
        assert session._inspections.bytes <= 60_000
        kept[size] = len(session._inspections)
    assert kept[13] < kept[5]
