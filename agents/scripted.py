"""Scripted agents, the yardsticks: they go straight for one kind of object, or wander."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.agents.policies import Probabilities, Rows
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.cells import Cells
from goalmaze.envs.engines import Observations
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import Distances, distances


@dataclasses.dataclass(frozen=True, eq=False)
class _Wanderer:
    """Takes every action equally often."""

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        return np.full((len(rows), len(ACTIONS)), 1 / len(ACTIONS), np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class _Seeker:
    """Takes the actions that shorten the way, all of them equally often; wanders once there or without a way."""

    distance: Distances
    width: int

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        moves = np.array([-self.width, 1, self.width, -1])
        here = self.distance[rows, agent]
        there = self.distance[rows[:, None], agent[:, None] + moves]
        closer = (there < here[:, None]) & (here < UNREACHABLE)[:, None]
        closer |= ~closer.any(axis=1, keepdims=True)
        probabilities: Probabilities = (closer / closer.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities


@dataclasses.dataclass(frozen=True)
class Seeker:
    """A policy that follows shortest paths to the nearest object of a kind."""

    kind: str

    def begin(self, levels: LevelBatch) -> _Seeker:
        """Solve the levels."""
        levels.slot(self.kind)
        ways = [distances(levels, levels.objects[:, k]) for k, kind in enumerate(levels.slots) if kind == self.kind]
        return _Seeker(np.minimum.reduce(ways), levels.width)


@dataclasses.dataclass(frozen=True)
class RandomWalker:
    """A policy that takes every action equally often."""

    def begin(self, levels: LevelBatch) -> _Wanderer:
        """Need nothing of the levels."""
        return _Wanderer()


def scripted_baselines(family: Family) -> dict[str, Seeker | RandomWalker]:
    """Return the scripted agents every learned one is compared with, by name."""
    return {
        f"{family.goal}-seeker": Seeker(family.goal),
        f"{family.cue}-seeker": Seeker(family.cue),
        "random-walker": RandomWalker(),
    }
