"""Scripted baselines: policies that follow shortest paths to one type of object, or move at random."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.agents.policies import Probabilities, Rows
from goalmaze.envs.actions import ACTIONS, cell_steps
from goalmaze.envs.cells import Cells
from goalmaze.envs.engines import Observations
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import Distances, distances


@dataclasses.dataclass(frozen=True, eq=False)
class _RandomActor:
    """Takes every action with the same probability."""

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        return np.full((len(rows), len(ACTIONS)), 1 / len(ACTIONS), np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class SeekerActor:
    """Takes with equal probability each action that shortens the path; at the object or without a path, any action.

    Attributes:
        distance: int [B, H*W], the distance in steps from each cell to the nearest object of the type.
        width: W, the columns of the maze.
    """

    distance: Distances
    width: int

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], see `goalmaze.agents.policies.Actor`."""
        # The border is wall, so no move from the agent's cell leaves the maze or wraps into another row. Walls are
        # UNREACHABLE, and so never closer.
        next_cells = agent[:, None] + cell_steps(self.width)
        here = self.distance[rows, agent]
        next_distances = self.distance[rows[:, None], next_cells]
        closer = (next_distances < here[:, None]) & (here < UNREACHABLE)[:, None]
        closer |= ~closer.any(axis=1, keepdims=True)
        probabilities: Probabilities = (closer / closer.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities


@dataclasses.dataclass(frozen=True)
class Seeker:
    """A policy that follows shortest paths to the nearest object of a type.

    Attributes:
        object_type: the name of the object type, such as "exit".
    """

    object_type: str

    def begin(self, levels: LevelBatch) -> SeekerActor:
        """Return an actor with the distances in all levels.

        Raises:
            GoalmazeError: the family has no such object type.
        """
        # Only for the error, which suggests the closest name.
        levels.slot(self.object_type)
        slots = [k for k, object_type in enumerate(levels.slots) if object_type == self.object_type]
        to_objects = [distances(levels, levels.objects[:, k]) for k in slots]
        return SeekerActor(np.minimum.reduce(to_objects), levels.width)


@dataclasses.dataclass(frozen=True)
class RandomWalker:
    """A policy that takes every action with the same probability."""

    def begin(self, levels: LevelBatch) -> _RandomActor:
        """Return an actor; it does not depend on the levels."""
        return _RandomActor()


def scripted_baselines(family: Family) -> dict[str, Seeker | RandomWalker]:
    """Return the scripted baselines that learned agents are compared with, by name."""
    return {
        f"{family.goal}-seeker": Seeker(family.goal),
        f"{family.cue}-seeker": Seeker(family.cue),
        "random-walker": RandomWalker(),
    }
