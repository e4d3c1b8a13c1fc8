"""Scripted baselines: policies that follow shortest paths to one type of object, or move at random."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.agents.policies import Probabilities, Rows
from goalmaze.envs.actions import ACTIONS, cell_steps
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.engine import rules
from goalmaze.envs.engines import Engine, Observations, make_engine
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import Distances, distances


@dataclasses.dataclass(frozen=True, eq=False)
class _RandomActor:
    """Takes every action with the same probability."""

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        return np.full((len(rows), len(ACTIONS)), 1 / len(ACTIONS), np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class DistanceActor:
    """Takes with equal probability each action that shortens a distance; where none does, any action.

    Attributes:
        distance: int [B, H*W], the distance in steps from each cell; `UNREACHABLE` where there is no path.
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


class SeekerActor:
    """Follows shortest paths to the nearest target of each episode, as the episode is now.

    The targets are the objects of one type that are in the maze: not those that the agent collected, and moving ones on
    their present cells. Where objects of the type need an item that the agent does not hold, the targets are the
    objects that give items. At a target, without a target or without a path, it takes any action.

    Args:
        engine: runs the B episodes; its present state is read at every step.
        object_type: the name of the object type.
    """

    def __init__(self, engine: Engine, object_type: str) -> None:
        table = engine.family.table
        self._engine = engine
        self._levels = engine.levels()
        self._of_type = np.array([name == object_type for name in engine.family.slots])
        self._gives = table[:, rules.GIVES] > 0
        self._needs_item = bool((self._of_type & (table[:, rules.NEEDS] > 0)).any())
        self._targets = np.full(self._levels.objects.shape, ABSENT, np.int32)
        nowhere = np.full((len(engine), self._levels.height * self._levels.width), UNREACHABLE, np.int32)
        self._paths = DistanceActor(nowhere, self._levels.width)

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], see `goalmaze.agents.policies.Actor`."""
        targets = self._present_targets(rows)
        changed = (targets != self._targets[rows]).any(axis=1)
        if changed.any():
            # Most steps change no target, so that a search from the targets is rare.
            self._targets[rows[changed]] = targets[changed]
            levels = self._levels.take(rows[changed])
            searches = [distances(levels, cells) for cells in targets[changed].T if (cells != ABSENT).any()]
            nowhere = np.full((len(levels), levels.height * levels.width), UNREACHABLE, np.int32)
            self._paths.distance[rows[changed]] = np.minimum.reduce([nowhere, *searches])
        return self._paths.probabilities(rows, observations, agent)

    def _present_targets(self, rows: Rows) -> Cells:
        """Return int32 [b, K], the present cells of the targets; `ABSENT` for every other object."""
        cells = self._engine.objects[rows]
        # An item that the agent holds is at cell k of the top wall, where k is its slot.
        held: Bools = self._gives & (cells == np.arange(cells.shape[1]))
        wanted = np.broadcast_to(self._of_type, cells.shape)
        if self._needs_item:
            without_item = self._engine.state.items[rows] == 0
            wanted = np.where(without_item[:, None], self._gives, wanted)
        return np.where(wanted & ~held, cells, ABSENT)


@dataclasses.dataclass(frozen=True)
class Seeker:
    """A policy that follows shortest paths to the nearest object of a type; see `SeekerActor`.

    Attributes:
        object_type: the name of the object type, such as "exit".
    """

    object_type: str

    def begin(self, levels: LevelBatch) -> SeekerActor:
        """Return an actor to which all objects stay where they are at the start of the levels.

        Raises:
            GoalmazeError: the family has no such object type.
        """
        return self.begin_in(make_engine(levels))

    def begin_in(self, engine: Engine) -> SeekerActor:
        """Return an actor for the episodes of an engine, see `goalmaze.agents.policies.StatePolicy`.

        Raises:
            GoalmazeError: the family has no such object type.
        """
        # Only for the error, which suggests the closest name.
        engine.levels().slot(self.object_type)
        return SeekerActor(engine, self.object_type)


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
