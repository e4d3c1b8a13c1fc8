"""Training a population as one program: the function that run folders and the Python API call."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.training.algorithms import check_recipe
from goalmaze.agents.training.population.callback import PopulationCallback
from goalmaze.agents.training.population.capacity import check_capacity
from goalmaze.agents.training.population.learner import LearnerNumbers, PopulationLearner
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.sb3_environment import Arrays
from goalmaze.envs.extensions import extensions_needed
from goalmaze.envs.json_data import JsonObject


def check_program(recipe: Recipe, parameters: Sequence[JsonObject]) -> None:
    """Check that a population can be trained as one program.

    Args:
        recipe: the recipe that the agents share.
        parameters: for each agent, the parameters of its family that replace the recipe's.

    Raises:
        GoalmazeError: the recipe is wrong, or the agents do not fit in memory.
    """
    with extensions_needed(recipe.imports):
        check_recipe(recipe)
        check_capacity(recipe, parameters)


def make_learner(
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    parameters: Sequence[JsonObject] | None = None,
    overlap: bool = True,
) -> PopulationLearner:
    """Return the learner of a population, after all checks and before anything is written.

    Arguments as `train_stacked`.

    Raises:
        GoalmazeError: the recipe is wrong, shapes differ, or the agents do not fit in memory.
    """
    keep_large_blocks()
    check_program(recipe, [{}] * len(seeds) if parameters is None else parameters)
    with extensions_needed(recipe.imports):
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        return PopulationLearner(recipe, seeds, parameters=parameters, overlap=overlap)


def train_stacked(
    recipe: Recipe,
    seeds: Sequence[int],
    callback: PopulationCallback | None = None,
    *,
    parameters: Sequence[JsonObject] | None = None,
    overlap: bool = True,
    state: tuple[Arrays, LearnerNumbers] | None = None,
) -> PopulationLearner:
    """Train P agents as one program. Writes no files; a callback may.

    Agent p is the agent that `recipe` gives with seed `seeds[p]` alone, whatever the others are.

    Args:
        recipe: the recipe that the agents share; its seed is not used, its device is.
        seeds: P training seeds.
        callback: called between rollouts; where None, a progress bar alone.
        parameters: for each agent, the parameters of its family that replace the recipe's; none where None.
        overlap: whether two halves of the environments advance in turn, while the device computes the actions of the
            other half. It changes no result.
        state: the `snapshot` of a learner to continue from.

    Returns:
        The learner: `learner.tensors()` are the weights, `learner.is_finished` says whether all steps were taken,
        `learner.stopped` names the agents that stopped early because a number was not finite.

    Raises:
        GoalmazeError: the recipe is wrong, shapes differ, the agents do not fit in memory, or the state does not fit.
    """
    learner = make_learner(recipe, seeds, parameters=parameters, overlap=overlap)
    if state is not None:
        learner.restore(*state)
    learn(learner, PopulationCallback() if callback is None else callback)
    return learner


def learn(learner: PopulationLearner, callback: PopulationCallback) -> None:
    """Train until all steps are taken or the callback stops it."""
    try:
        callback.on_training_start(learner)
        while not learner.is_finished:
            if not callback.on_rollout_start(learner):
                return
            callback.on_rollout_end(learner, learner.rollout())
        callback.on_training_end(learner)
    finally:
        callback.close()
