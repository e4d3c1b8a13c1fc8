"""`goalmaze bench eval`: episodes per second of a rollout, and its cost beside the network's forward passes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.rollout import rollout
from goalmaze.agents.zoo import zoo_names
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.bench.eval_population import measure_population

TRIALS = 3


class Stopwatch:
    """Adds up the durations of calls.

    Attributes:
        seconds: the sum so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun = 0.0

    def start(self, *_: object) -> None:
        """Begin a call."""
        self._begun = time.perf_counter()

    def stop(self, *_: object) -> None:
        """End the call."""
        self.seconds += time.perf_counter() - self._begun


@contextmanager
def timed(module: nn.Module, method: str) -> Iterator[Stopwatch]:
    """Time every call of a module's method inside the context."""
    watch = Stopwatch()
    original = getattr(module, method)

    def call(*arguments: Any) -> Any:
        watch.start()
        try:
            return original(*arguments)
        finally:
            watch.stop()

    # On the instance, which hides the method of the class until it is deleted again.
    setattr(module, method, call)
    try:
        yield watch
    finally:
        delattr(module, method)


def measure(full: bool) -> list[JsonObject]:
    """Return one row for each number of levels of the agent's training distribution, one episode a level.

    `overhead` is the time of the rollout divided by that of its forward passes, minus 1. Each row is the trial with the
    median overhead. The last row is a whole evaluation of a population, see `measure_population`.
    """
    agent = load_agent(f"zoo:{zoo_names()[0]}")
    # Compiles kernels and warms up torch; on other levels than those measured.
    rollout(agent.policy, agent.family.levels(1, np.arange(64)))
    counts = (512, 2048, 10_000) if full else (1024,)
    rows = [_row(agent, count) for count in tqdm(counts, desc="bench eval", disable=None)]
    return [*rows, measure_population(64, 512) if full else measure_population(4, 128)]


def _row(agent: Agent, count: int) -> JsonObject:
    levels = agent.family.levels(0, np.arange(count))
    trials = []
    # a recurrent network's pass is `advance`, any other's is `forward`
    method = "advance" if hasattr(agent.network, "advance") else "forward"
    for _ in range(TRIALS):
        with timed(agent.network, method) as watch:
            begun = time.perf_counter()
            trajectory = rollout(agent.policy, levels)
            seconds = time.perf_counter() - begun
        trials.append((seconds / watch.seconds - 1, seconds))
    overhead, seconds = sorted(trials)[TRIALS // 2]
    return {
        "agents": 1,
        "levels": count,
        "size": agent.family.size,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "episodes_per_s": count / seconds,
        "steps_per_s": int(trajectory.steps.sum()) / seconds,
        "overhead": overhead,
        "one_by_one_seconds": None,
        "relative_seconds": None,
    }
