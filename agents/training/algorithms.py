"""The training algorithm of a recipe: `TensorPPO`, or PPO, A2C and DQN of stable-baselines3, unchanged."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from torch.optim import AdamW

from goalmaze.agents.devices import find_device
from goalmaze.agents.networks.base import Network, RecurrentNetwork, Shape
from goalmaze.agents.networks.registry import network_class
from goalmaze.agents.training.curricula.registry import CurriculumChoice
from goalmaze.agents.training.gpu_ppo import GpuPPO
from goalmaze.agents.training.loss_term import check_term, make_term
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.sb3_environment import MazeVecEnv
from goalmaze.agents.training.sb3_policy import MazeDQNPolicy, MazePolicy
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.ranges import check_number

SB3Arguments: TypeAlias = dict[str, Any]
"""Keyword arguments of an algorithm of stable-baselines3, whose classes have no common type for them."""

CLASSES: dict[str, type[BaseAlgorithm]] = {"ppo": TensorPPO, "sb3-ppo": PPO, "sb3-a2c": A2C, "sb3-dqn": DQN}

RESERVED = (
    "seed",
    "verbose",
    "tensorboard_log",
    "policy_kwargs",
    "_init_setup_model",
    "device",
    "learning_rate",
)
"""Arguments of stable-baselines3's algorithms that no option of a recipe may name."""

ADAM_EPSILON = 1e-5
"""Adam's epsilon, as in stable-baselines3's PPO."""

DQN_BUFFER_SIZE = 50_000
"""Transitions in the replay buffer."""

DQN_TARGET_UPDATE = 5_000
"""Environment steps between two copies of the weights to the target network."""

DQN_EXPLORATION = 0.3
"""Fraction of training in which the rate of random actions falls to its final value."""


def make_environments(recipe: Recipe, seeds: Sequence[int] | None = None) -> MazeVecEnv:
    """Return the environments that a recipe trains on.

    Args:
        recipe: the recipe.
        seeds: makes the recipe's environments once for each of these seeds, as groups of one batch; the recipe's own
            seed alone where None.
    """
    family = make_family(recipe.family, recipe.parameters)
    _check_curriculum(recipe)
    seeds = [recipe.seed] if seeds is None else seeds
    return MazeVecEnv(
        family,
        recipe.envs * len(seeds),
        seeds,
        recipe.shaping,
        ObservationSpec(recipe.observation, **recipe.observation_options),
        recipe.reward,
        recipe.shaping_kind,
        recipe.discount,
        CurriculumChoice(recipe.curriculum, recipe.curriculum_options),
        recipe.colour_jitter,
        recipe.threads or torch.get_num_threads(),
    )


def make_algorithm(recipe: Recipe, mazes: MazeVecEnv) -> BaseAlgorithm:
    """Return the algorithm of a recipe on its environments.

    Raises:
        GoalmazeError: the recipe has an unknown name, or settings that contradict each other.
    """
    check_recipe(recipe)
    algorithm = CLASSES[recipe.algorithm]
    if algorithm is TensorPPO and find_device(recipe.device).type == "cuda":
        algorithm = GpuPPO
    # In this order, so that the recipe's options replace ours.
    arguments = {**_shared_arguments(recipe, mazes), **_own_arguments(recipe), **recipe.algorithm_options}
    try:
        made = algorithm(MazeDQNPolicy if algorithm is DQN else MazePolicy, mazes, **arguments)
    except (AssertionError, AttributeError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        # Which values an option may have is known to the algorithm alone.
        if not recipe.algorithm_options or isinstance(error, GoalmazeError):
            raise
        reason = str(error) or type(error).__name__
        raise GoalmazeError(f"algorithm {recipe.algorithm} refuses its options: {reason}; change them") from None
    if isinstance(made, TensorPPO):
        made.term = make_term(recipe, mazes.mazes.family, mazes.mazes.view, network_of(made))
    return made


def _check_options(recipe: Recipe) -> None:
    """Raise `GoalmazeError` for an option that the algorithm does not have, and for a value of another type."""
    # TensorPPO takes the arguments of PPO as **options.
    algorithm = PPO if recipe.algorithm == "ppo" else CLASSES[recipe.algorithm]
    # Only numbers: classes and functions cannot stand in a recipe, which is JSON.
    defaults = {name: one.default for name, one in inspect.signature(algorithm).parameters.items()}
    numbers = {name: default for name, default in defaults.items() if name not in RESERVED and _is_number(default)}
    for name, value in recipe.algorithm_options.items():
        if name not in numbers:
            raise unknown(f"option of algorithm {recipe.algorithm}", name, numbers)
        if not _is_number(value) or (isinstance(numbers[name], int) and not isinstance(value, int)):
            raise GoalmazeError(
                f"option {name} of algorithm {recipe.algorithm} is {value!r}: give a number such as {numbers[name]}"
            )
        check_number(f"option {name} of algorithm {recipe.algorithm}", value)


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def check_recipe(recipe: Recipe) -> None:
    """Raise `GoalmazeError` if settings of the recipe contradict each other."""
    _check_options(recipe)
    check_term(recipe)
    if recipe.weight_decay and recipe.algorithm not in ("ppo", "sb3-ppo"):
        raise GoalmazeError(f"weight_decay is a setting of PPO's optimiser, not of {recipe.algorithm}: choose ppo")
    network = network_class(recipe.network)
    if not issubclass(network, RecurrentNetwork):
        return
    if recipe.algorithm != "ppo":
        raise GoalmazeError(f"network {recipe.network} is recurrent, algorithm {recipe.algorithm} is not; choose ppo")
    if recipe.envs % recipe.minibatches:
        raise GoalmazeError(
            f"{recipe.envs} environments do not split into {recipe.minibatches} minibatches of whole sequences, as a "
            "recurrent network needs; change one of them"
        )


def _check_curriculum(recipe: Recipe) -> None:
    """Raise `GoalmazeError` for a curriculum that the algorithm or the device does not support."""
    if recipe.curriculum == CurriculumChoice().name:
        return
    if recipe.algorithm != "ppo":
        raise GoalmazeError(
            f"algorithm {recipe.algorithm} trains on every step, and curriculum {recipe.curriculum} on some: choose ppo"
        )
    if find_device(recipe.device).type != "cpu":
        raise GoalmazeError(f"curriculum {recipe.curriculum} trains on a CPU alone: add --device cpu")


def _shared_arguments(recipe: Recipe, mazes: MazeVecEnv) -> SB3Arguments:
    """Return the arguments that all algorithms share."""
    return {
        "policy_kwargs": {
            "network": recipe.network,
            "options": recipe.network_options,
            "shape": Shape.seeing(mazes.mazes.view),
            "initial_seed": recipe.seed,
            "bf16": recipe.precision == "bf16",
            **_optimizer_arguments(recipe),
        },
        # Annealed to 0. The last rollout may exceed the recipe's steps, and the rate must not become negative there.
        "learning_rate": lambda remaining: recipe.learning_rate * max(remaining, 0.0),
        "gamma": recipe.discount,
        "max_grad_norm": recipe.gradient_clip,
        "seed": recipe.seed,
        "device": find_device(recipe.device),
    }


def _optimizer_arguments(recipe: Recipe) -> SB3Arguments:
    """Return the optimiser of a recipe with weight decay; otherwise the algorithm's own stays."""
    if not recipe.weight_decay:
        return {}
    return {"optimizer_class": AdamW, "optimizer_kwargs": {"eps": ADAM_EPSILON, "weight_decay": recipe.weight_decay}}


def _own_arguments(recipe: Recipe) -> SB3Arguments:
    """Return the arguments that only the recipe's algorithm has."""
    batch = recipe.envs * recipe.rollout_steps // recipe.minibatches
    if recipe.algorithm == "sb3-dqn":
        return {
            "buffer_size": DQN_BUFFER_SIZE,
            "batch_size": batch,
            # The first rollout fills the replay buffer by random actions.
            "learning_starts": recipe.envs * recipe.rollout_steps,
            "train_freq": 1,
            "gradient_steps": 1,
            "target_update_interval": DQN_TARGET_UPDATE,
            "exploration_fraction": DQN_EXPLORATION,
        }
    on_policy = {"n_steps": recipe.rollout_steps, "gae_lambda": recipe.gae_lambda, "ent_coef": recipe.entropy}
    if recipe.algorithm == "sb3-a2c":
        return on_policy
    return on_policy | {"batch_size": batch, "n_epochs": recipe.epochs, "clip_range": recipe.clip}


def network_of(algorithm: BaseAlgorithm) -> Network:
    """Return the network that an algorithm trains."""
    return cast(MazePolicy, algorithm.policy).network
