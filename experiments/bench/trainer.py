"""Training taken rollout by rollout, so that its parts can be timed."""

from __future__ import annotations

import time
from typing import cast

from stable_baselines3.common.logger import Logger

from goalmaze.agents.training.algorithms import make_algorithm, make_environments
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import load_start
from goalmaze.agents.training.sb3_environment import unwrap

ENDLESS = 10**9
"""More steps than any measurement takes."""


class TimedTrainer:
    """Trains an agent, one rollout and update at a time.

    Attributes:
        algorithm: the algorithm with its environments.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.algorithm = cast(TensorPPO, make_algorithm(recipe, make_environments(recipe)))
        if recipe.start:
            load_start(self.algorithm, recipe.start, recipe.seed)
        self.algorithm.set_logger(Logger(None, []))
        _, self._callback = self.algorithm._setup_learn(ENDLESS)

    def turn(self) -> tuple[float, float]:
        """Take a rollout and update the network on it; return the seconds of both."""
        algorithm = self.algorithm
        begun = time.perf_counter()
        algorithm.collect_rollouts(
            unwrap(algorithm.env), self._callback, algorithm.rollout_buffer, algorithm.tensor_buffer.steps
        )
        middle = time.perf_counter()
        algorithm.train()
        return middle - begun, time.perf_counter() - middle
