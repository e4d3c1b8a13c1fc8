"""Tests of Procgen's maze need Procgen, from an environment of its own; without it only its absence is tested."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

HERE = importlib.util.find_spec("procgen") is not None

collect_ignore_glob = [] if HERE else ["test_[!m]*.py"]

MODES = ("easy", "hard", "memory")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def walked() -> dict[str, list[bytes]]:
    """Return 400 states of each mode, some in the middle of episodes and some after the first one."""
    from goalmaze.envs.procgen.simulator import ProcgenSimulator

    states = {}
    for mode in MODES:
        simulator, random = ProcgenSimulator(40, mode), np.random.default_rng(len(mode))
        states[mode] = list(_walked(simulator, random))
        simulator.close()
    return states


def _walked(simulator: Any, random: np.random.Generator) -> Iterator[bytes]:
    for _ in range(10):
        for _ in range(int(random.integers(1, 90))):
            simulator.step(random.integers(0, 15, simulator.count).astype(np.int32))
        yield from (simulator.state(row) for row in range(simulator.count))
