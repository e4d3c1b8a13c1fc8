"""Channels replaced by their simulation: what becomes of the policy, of solving and of the preference.

The states are all free cells of a few mazes, so that a policy without memory is known in every cell. What it reaches
follows from its transition probabilities, without sampling.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from goalmaze.agents.networks.base import RecurrentNetwork
from goalmaze.agents.policies import NetworkPolicy, Observations, Probabilities
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.levels import LevelBatch, concatenate
from goalmaze.envs.objects import AGENT
from goalmaze.envs.solving import lies_on_shortest_path
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.units.channels import Channels, as_tensor
from goalmaze.probes.units.states import Values


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """Every state of some mazes.

    Attributes:
        mazes: M levels; in the first `apart` of them goal and cue stand apart.
        apart: their number.
        states: S levels, each of the mazes once for every cell that the agent can stand on.
        maze_of: int [S].
        observations: uint8 [S, ...].
    """

    mazes: LevelBatch
    apart: int
    states: LevelBatch
    maze_of: NDArray[np.int64]
    observations: Observations


def field_of(policy: NetworkPolicy, apart: LevelBatch, together: LevelBatch) -> Field:
    """Return every state of levels with goal and cue apart, and of levels of the training distribution."""
    mazes = concatenate([apart, together]) if len(apart) else together
    parts = [mazes.take([b]).splayed(AGENT) for b in range(len(mazes))]
    states = concatenate(parts)
    maze_of = np.repeat(np.arange(len(mazes)), [len(part) for part in parts])
    return Field(mazes, len(apart), states, maze_of, observations_of(policy, states))


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """What a policy reaches in a field.

    Attributes:
        solved: probability of reaching the goal on training-distribution levels; NaN where it cannot be computed.
        preference: of reaching the cue before the goal, given either, on levels where neither is on the way.
    """

    solved: float
    preference: float


NO_BEHAVIOUR = Behaviour(float("nan"), float("nan"))


def follows_from_cells(policy: NetworkPolicy, levels: LevelBatch) -> bool:
    """Return whether an agent's cell is all of the state that changes until it reaches the goal or the cue."""
    family = levels.family
    present = [kind for kind, cells in zip(levels.slots, levels.objects.T, strict=True) if (cells != ABSENT).any()]
    kinds = [one for one in family.object_types if one.name in present]
    plain = all(
        one.motion == "still" and not (one.fills or one.gives or one.needs or one.required or one.after)
        for one in kinds
    )
    single = present.count(family.goal) <= 1 and present.count(family.cue) <= 1
    always_shown = not any(family.visible_steps_by_type.values())
    return plain and single and always_shown and not isinstance(policy.network, RecurrentNetwork)


def probabilities(policy: NetworkPolicy, field: Field, edits: Sequence[Edit] = ()) -> Probabilities:
    """Return float32 [S, 4], the policy in every state, under edits whose levels are the states."""
    rows = np.arange(len(field.states))
    with applied(policy, edits):
        return policy.probabilities(rows, field.observations, field.states.start)


def divergence(before: Probabilities, after: Probabilities) -> float:
    """Return the mean over states of KL(before || after), in nats."""
    p, q = (np.maximum(one.astype(np.float64), 1e-12) for one in (before, after))
    return float((p * (np.log(p) - np.log(q))).sum(axis=1).mean())


def behaviour(field: Field, policy_field: Probabilities) -> Behaviour:
    """Return what an agent reaches that starts where the mazes say, exactly, by its transition probabilities."""
    mazes, family = field.mazes, field.mazes.family
    goals, cues = mazes.cells(family.goal), mazes.cells(family.cue)
    table = np.zeros((len(mazes), mazes.height * mazes.width, 4))
    table[field.maze_of, field.states.start] = policy_field
    goal_first, cue_first = _arrivals(mazes, table, goals, cues)
    together = goals == cues
    solved = float((goal_first + np.where(together, cue_first, 0))[field.apart :].mean())
    start = mazes.start
    off = ~lies_on_shortest_path(mazes, start, cues, goals) & ~lies_on_shortest_path(mazes, start, goals, cues)
    off[field.apart :] = False
    reached = float((goal_first + cue_first)[off].sum())
    return Behaviour(solved, float(cue_first[off].sum()) / reached if reached > 0 else float("nan"))


def _arrivals(
    mazes: LevelBatch, table: NDArray[np.float64], goals: Cells, cues: Cells
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return float64 [M] twice, the probability of reaching goal or cue first within the time limit."""
    rows = np.arange(len(mazes))
    free = mazes.free()
    steps = cell_steps(mazes.width).astype(np.int64)
    cells = free.shape[1]
    # A move into a wall stays; np.roll wraps only across the border, which is wall.
    moves = [np.where(np.roll(free, -step, axis=1), step, 0) for step in steps]
    mass = np.zeros(free.shape)
    mass[rows, mazes.start] = 1
    reached = np.zeros((2, len(mazes)))
    for _ in range(mazes.family.time_limit):
        following = np.zeros_like(mass)
        for action, move in enumerate(moves):
            flat = (rows[:, None] * cells + np.arange(cells) + move).ravel()
            following += np.bincount(flat, (mass * table[:, :, action]).ravel(), minlength=mass.size).reshape(
                mass.shape
            )
        for number, places in enumerate((goals, cues)):
            there = places != ABSENT
            reached[number, there] += following[rows[there], places[there]]
            following[rows[there], places[there]] = 0
        mass = following
    return reached[0], reached[1]


def replacement(channels: Channels, numbers: Sequence[int], values: Sequence[Values], sides: tuple[int, ...]) -> Edit:
    """Return the edit that gives channels other values.

    Args:
        channels: the site's channels in the states.
        numbers: k of its channels.
        values: k arrays, float32 [S, N] of squares or [S] of mazes.
        sides: the shape of one activation of the site, (C, H, W) or (C,).
    """
    source = torch.zeros((len(channels.values), *sides))
    if channels.scope == "maze" and len(sides) > 1:
        # A pooled map keeps its pattern; its mean over squares becomes that of the simulation.
        for number, value in zip(numbers, values, strict=True):
            change = torch.from_numpy(value - channels.values[:, number])
            source[:, number] = change.reshape(-1, *[1] * (len(sides) - 1))
        return Add(channels.site, delta=source)
    for number, value in zip(numbers, values, strict=True):
        source[:, number] = as_tensor(value, sides[1] if len(sides) > 1 else 1)
    return Patch(channels.site, source=source, channels=tuple(numbers))
