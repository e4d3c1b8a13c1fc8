"""In which world an agent is judged: its own, or one with other parameters, sizes or rules that it can see."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from goalmaze.agents.loading import Agent, load_agent, run_folder
from goalmaze.agents.networks.base import PLANES
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.training.run import read_recipe
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import Family, from_parameters
from goalmaze.experiments.common.assignments import assignments
from goalmaze.experiments.evaluate.config import EvalConfig

NO_MATTER = ("seed", "threads", "device")
"""Fields of a recipe in which agents of one cohort may differ."""


def played(agent: Agent, config: EvalConfig) -> Family:
    """Return the world that a configuration has an agent judged in.

    Raises:
        GoalmazeError: no such family or parameter, or the agent cannot see that world.
    """
    changed = assignments(config.parameters, "--parameters")
    if config.size is not None:
        changed["size"] = config.size
    if config.family is not None and config.family != agent.family.name:
        return fitting(agent, make_family(config.family, {"size": agent.family.size} | changed))
    return fitting(agent, varied(agent.family, changed))


def varied(family: Family, changed: dict[str, Any]) -> Family:
    """Return a family with some of its parameters changed.

    Raises:
        GoalmazeError: a parameter is unknown or out of range.
    """
    if not changed:
        return family
    kind = known_families().get(family.name, type(family))
    return from_parameters(kind, family.parameters | changed)


def fitting(agent: Agent, family: Family) -> Family:
    """Return a family once the agent was found to act in it, by acting on one level.

    Raises:
        GoalmazeError: it cannot.
    """
    if family == agent.family:
        return family
    if agent.network.shape.mode in PLANES and family.plane_names != agent.family.plane_names:
        raise GoalmazeError(
            f"{agent.name} cannot act in this {family.name}: it sees planes {', '.join(agent.family.plane_names)}, "
            f"which are not {', '.join(family.plane_names)}; choose an agent that was trained on them"
        )
    level = family.levels(0, [0])
    try:
        seen = observations_of(agent.policy, level)
        agent.policy.begin(level).probabilities(np.zeros(1, np.intp), seen, level.start)
    except (RuntimeError, GoalmazeError) as error:
        reason = (
            str(error) if isinstance(error, GoalmazeError) else f"network {agent.network.name} was made for another"
        )
        raise GoalmazeError(
            f"{agent.name} cannot act in {family.name} at size {family.size}: {reason}; choose size {agent.family.size}"
        ) from None
    return family


def load_together(names: Sequence[str]) -> list[Agent]:
    """Load agents that are to be judged on the same levels.

    Raises:
        GoalmazeError: one is named twice, or they are of different families or sizes.
    """
    agents = [load_agent(name) for name in names]
    for name in names:
        if names.count(name) > 1:
            raise GoalmazeError(f"{name} is named twice; name each agent once")
    first = agents[0].family
    for agent in agents[1:]:
        if (agent.family.name, agent.family.size) != (first.name, first.size):
            raise GoalmazeError(
                f"{agents[0].name} was trained on {first.name} at size {first.size} and {agent.name} on "
                f"{agent.family.name} at size {agent.family.size}: judge agents of one family and size together"
            )
    return agents


@dataclasses.dataclass(frozen=True)
class SeedGroup:
    """Agents that differ in their training seed alone, as far as their checkpoints and recipes say.

    Attributes:
        name: of the first agent, and how many they are.
        agents: one or more.
    """

    name: str
    agents: tuple[Agent, ...]


def cohorts(agents: Sequence[Agent]) -> list[SeedGroup]:
    """Group agents by all of their recipe but the seed, in the order in which they come."""
    groups: dict[str, list[Agent]] = {}
    for agent in agents:
        groups.setdefault(_recipe(agent), []).append(agent)
    return [
        SeedGroup(
            group[0].name if len(group) == 1 else f"{group[0].name} and {len(group) - 1} more seeds", tuple(group)
        )
        for group in groups.values()
    ]


def _recipe(agent: Agent) -> str:
    """Return what an agent was trained with, its seed apart; its name where there is no recipe."""
    if agent.header is None:
        return agent.name
    folder = run_folder(agent.name)
    try:
        recipe = dataclasses.asdict(read_recipe(folder.parent if folder.is_file() else folder)[0])
    except GoalmazeError:
        return agent.name
    for name in NO_MATTER:
        recipe.pop(name, None)
    return json.dumps([recipe, agent.header.steps], sort_keys=True)


def make_folder(folder: Path) -> None:
    """Make the folder that pictures are put into, before anything is played.

    Raises:
        GoalmazeError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GoalmazeError(f"--figures {folder}: cannot make this folder: {error.strerror}") from None
