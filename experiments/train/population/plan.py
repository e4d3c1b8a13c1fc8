"""The plan of a population from a recipe, seeds and a grid of parameters, checked before anything is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import torch

from goalmaze.agents.devices import find_device
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.training.algorithms import make_environments
from goalmaze.agents.training.device_recipe import for_device
from goalmaze.agents.training.population_plan import PopulationPlan
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import load_start, prepare
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import extensions_needed
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.experiments.train.population.seeds import MAX_AGENTS, checked_seeds
from goalmaze.probes.penalties import shipped as _penalties  # noqa: F401  registers them


class PlannedPopulation(NamedTuple):
    """A population that can be trained.

    Attributes:
        recipe: the recipe of the first agent, with all defaults filled in.
        plan: seed and parameters of every agent.
    """

    recipe: Recipe
    plan: PopulationPlan


def planned(recipe: Recipe, seeds: Sequence[int], grid: Sequence[JsonObject] = ({},)) -> PlannedPopulation:
    """Return a population of every combination of parameters with every seed.

    Args:
        recipe: the settings of all agents. Where it leaves the number of threads open, each agent has one, so that an
            agent does not depend on how many are trained beside it.
        seeds: the training seeds.
        grid: parameters of the family; the agents of the first entry come first.

    Raises:
        GoalmazeError: a seed is listed twice or out of range, a setting is unknown, or observations of two entries
            have different shapes.
    """
    seeds = checked_seeds(seeds)
    if len(seeds) * len(grid) > MAX_AGENTS:
        raise GoalmazeError(f"{len(seeds)} seeds of {len(grid)} sets of parameters are more than {MAX_AGENTS:,} agents")
    parameters = [recipe.parameters | entry for entry in grid]
    # A population keeps its batches on every device, so that its agents are the same everywhere.
    first = for_device(recipe, find_device(recipe.device).type, together=True)
    first = dataclasses.replace(first, seed=seeds[0], threads=recipe.threads or 1, parameters=parameters[0])
    threads = torch.get_num_threads()
    try:
        algorithm, resolved = prepare(first)
        if recipe.start:
            for seed in seeds:
                load_start(algorithm, recipe.start, seed)
    finally:
        # This process trains nothing by itself.
        torch.set_num_threads(threads)
    with extensions_needed(recipe.imports):
        _check_shapes(first, parameters, grid)
    return PlannedPopulation(
        resolved,
        PopulationPlan(
            tuple(seed for _ in grid for seed in seeds), tuple(dict(entry) for entry in grid for _ in seeds)
        ),
    )


def _check_shapes(recipe: Recipe, parameters: Sequence[JsonObject], grid: Sequence[ReadonlyJsonObject]) -> None:
    """Check that all agents can have one network, and that their observations mean the same.

    Raises:
        GoalmazeError: a parameter is unknown or out of range, or observations of two entries differ in shape or planes.
    """
    seen = []
    for entry in parameters:
        mazes = make_environments(dataclasses.replace(recipe, parameters=entry)).mazes
        seen.append((Shape.seeing(mazes.view), mazes.family.plane_names))
        shape, first = seen[-1][0].observation, seen[0][0].observation
        if seen[-1] != seen[0]:
            words = [_words(grid[number]) for number in (0, len(seen) - 1)]
            sides = ["x".join(map(str, one)) for one in (first, shape)]
            raise GoalmazeError(
                f"--grid: observations are {sides[0]} with {words[0]} and {sides[1]} with {words[1]}, or of other "
                "planes, so the agents cannot be one population; train one for each"
            )


def _words(entry: ReadonlyJsonObject) -> str:
    return " ".join(f"{name}={value}" for name, value in entry.items()) or "the recipe's parameters"
