"""The families and levels that agents are evaluated on: their own, or others that they can act in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from goalmaze.agents.loading import Agent, load_agent, locate
from goalmaze.agents.networks.base import PLANES
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.training.run import read_recipe
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.json_data import ReadonlyJsonObject
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.registry import from_parameters
from goalmaze.experiments.common.assignments import assignments
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.training_overlap import levels_with_unseen_walls

CUSTOM = "custom"
"""The name of the shift of levels that the caller made."""

SEED_FIELDS = ("seed", "threads", "device")
"""Fields of a recipe that agents of one seed group may differ in."""


def evaluation_family(agent: Agent, config: EvalConfig) -> Family:
    """Return the family that a configuration has an agent evaluated on.

    Raises:
        GoalmazeError: no such family or parameter, or the agent cannot act in it.
    """
    changes = assignments(config.parameters, "--parameters")
    if config.size is not None:
        changes["size"] = config.size
    if config.family is not None and config.family != agent.family.name:
        return require_compatible(agent, make_family(config.family, {"size": agent.family.size} | changes))
    return require_compatible(agent, varied(agent.family, changes))


def varied(family: Family, changes: ReadonlyJsonObject) -> Family:
    """Return a family with some of its parameters changed.

    Raises:
        GoalmazeError: a parameter is unknown or out of range.
    """
    if not changes:
        return family
    kind = known_families().get(family.name, type(family))
    return from_parameters(kind, family.parameters | dict(changes))


def require_compatible(agent: Agent, family: Family) -> Family:
    """Return the family if the agent can act in it; the check acts once on one level.

    Raises:
        GoalmazeError: it cannot.
    """
    if family == agent.family:
        return family
    if agent.network.shape.spec.mode in PLANES and family.plane_names != agent.family.plane_names:
        raise GoalmazeError(
            f"{agent.name} cannot act in this {family.name}: it observes planes "
            f"{', '.join(agent.family.plane_names)}, which are not {', '.join(family.plane_names)}; "
            "choose an agent that was trained on them"
        )
    # Shapes of weights, planes and sites all have to fit. A forward pass checks them together.
    level = family.levels(0, [0])
    try:
        observations = observations_of(agent.policy, level)
        agent.policy.begin(level).probabilities(np.zeros(1, np.intp), observations, level.start)
    except (RuntimeError, GoalmazeError) as error:
        reason = str(error) if isinstance(error, GoalmazeError) else f"network {agent.network.name} has another shape"
        raise GoalmazeError(
            f"{agent.name} cannot act in {family.name} at size {family.size}: {reason}; choose size {agent.family.size}"
        ) from None
    return family


def draw_levels(
    family: Family, levels: int | LevelBatch, shift: str, seed: int, unseen_by: Sequence[Agent] = ()
) -> tuple[LevelBatch, str]:
    """Return evaluation levels and the name of their shift.

    Args:
        family: of the levels that are drawn.
        levels: number of levels to draw, or levels of the caller, whose shift is `CUSTOM`.
        shift: of the levels that are drawn.
        seed: of the levels that are drawn.
        unseen_by: agents that have not met the walls of the levels in training.

    Raises:
        GoalmazeError: no such shift, or the walls are to be unseen and the levels are the caller's or too few.
    """
    if isinstance(levels, LevelBatch):
        if unseen_by:
            raise GoalmazeError("unseen_walls chooses among drawn levels: give a number of levels, or leave it out")
        return levels, CUSTOM
    if unseen_by:
        return levels_with_unseen_walls(unseen_by, family, count=levels, shift=shift, seed=seed), shift
    return family.levels(seed, count=levels, shift=shift), shift


def load_together(names: Sequence[str], device: str = "cpu") -> list[Agent]:
    """Load agents that are to be evaluated on the same levels, onto a device.

    Raises:
        GoalmazeError: one is missing or named twice, or they are of different families or sizes.
    """
    agents = [load_agent(name, device) for name in names]
    require_comparable(agents)
    return agents


def require_comparable(agents: Sequence[Agent]) -> None:
    """Refuse agents that cannot be evaluated on the same levels.

    Raises:
        GoalmazeError: there are none, one is named twice, or they are of different families or sizes.
    """
    if not agents:
        raise GoalmazeError("there are no agents: give one or more")
    names = [agent.name for agent in agents]
    for name in names:
        if names.count(name) > 1:
            raise GoalmazeError(f"{name} is named twice; name each agent once")
    first = agents[0].family
    for agent in agents[1:]:
        if (agent.family.name, agent.family.size) != (first.name, first.size):
            raise GoalmazeError(
                f"{agents[0].name} was trained on {first.name} at size {first.size} and {agent.name} on "
                f"{agent.family.name} at size {agent.family.size}: compare agents of one family and size"
            )


def families_of(agents: Sequence[Agent], families: Sequence[Family] | None) -> list[Family]:
    """Return the family that each agent is evaluated on: as given, or the one that it was trained on.

    Raises:
        GoalmazeError: there are not as many families as agents.
    """
    if families is None:
        return [agent.family for agent in agents]
    if len(families) != len(agents):
        raise GoalmazeError(f"{len(families)} families for {len(agents)} agents: give one for each")
    return list(families)


@dataclasses.dataclass(frozen=True)
class SeedGroup:
    """Agents that differ in their training seed alone, as far as their checkpoints and recipes say.

    Attributes:
        name: of the first agent, and the number of the others.
        agents: one or more.
    """

    name: str
    agents: tuple[Agent, ...]


def seed_groups(agents: Sequence[Agent]) -> list[SeedGroup]:
    """Group agents by all of their recipe but the seed, in the order of their first agents."""
    # A dictionary keeps the order of its keys, and so that of the first agents.
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
    """Return an agent's recipe and steps without the fields of the seed; its name where there is no recipe."""
    if agent.header is None:
        return agent.name
    place = locate(agent.name)
    try:
        recipe = dataclasses.asdict(read_recipe(place.folder, place.number)[0])
    except GoalmazeError:
        return agent.name
    # Threads and device change rounding at most: runs that differ in them alone are seeds of one recipe.
    for name in SEED_FIELDS:
        recipe.pop(name, None)
    return json.dumps([recipe, agent.header.steps], sort_keys=True)
