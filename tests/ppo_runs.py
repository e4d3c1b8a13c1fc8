"""Small runs of PPO that several tests share."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.logger import Logger
from torch import Tensor

from goalmaze.agents.training.addressed_draws import GlobalDraws
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.rollout_buffer import TensorRolloutBuffer

MAZES = {"size": 5, "braid": 0.3}
NETWORK = {"channels": 8, "blocks": 2, "hidden": 16}
RECIPE = Recipe(
    parameters=MAZES, network_options=NETWORK, steps=10_000, envs=12, rollout_steps=20, minibatches=4, epochs=2, seed=3
)
ROLLOUT = RECIPE.envs * RECIPE.rollout_steps


def made(**changes: Any) -> Any:
    """Return the algorithm of the recipe; `TensorPPO` draws as stable-baselines3's PPO does."""
    recipe = dataclasses.replace(RECIPE, **changes)
    algorithm = make_algorithm(recipe, make_environments(recipe))
    algorithm.set_logger(Logger(None, []))
    if isinstance(algorithm, TensorPPO):
        algorithm.draws = GlobalDraws()
    return algorithm


def in_order(buffer: TensorRolloutBuffer) -> NDArray[np.int64]:
    """Return the order of minibatches in which nothing is shuffled."""
    return np.arange(buffer.steps * buffer.envs)


def weights(algorithm: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network_of(algorithm).state_dict().items()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def after_one_rollout(**changes: Any) -> tuple[TensorPPO, TensorRolloutBuffer]:
    algorithm = made(**changes)
    algorithm.learn(ROLLOUT)
    return algorithm, cast(TensorRolloutBuffer, algorithm.rollout_buffer)
