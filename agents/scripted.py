"""Scripted baselines: policies that follow shortest paths to one type of object, or move at random."""

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
class _RandomActor:
    """Takes every action with the same probability."""

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        return np.full((len(rows), len(ACTIONS)), 1 / len(ACTIONS), np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class SeekerActor:
    """Takes the actions that shorten the path with equal probability; every action at the object or without a path."""

    distance: Distances
    width: int

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], see `goalmaze.agents.policies.Actor`."""
        moves = np.array([-self.width, 1, self.width, -1])
        here = self.distance[rows, agent]
        there = self.distance[rows[:, None], agent[:, None] + moves]
        closer = (there < here[:, None]) & (here < UNREACHABLE)[:, None]
        closer |= ~closer.any(axis=1, keepdims=True)
        probabilities: Probabilities = (closer / closer.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities


@dataclasses.dataclass(frozen=True)
class Seeker:
    """A policy that follows shortest paths to the nearest object of a type."""

    kind: str

    def begin(self, levels: LevelBatch) -> SeekerActor:
        """Compute the distances of all levels."""
        levels.slot(self.kind)
        to_objects = [
            distances(levels, levels.objects[:, k]) for k, kind in enumerate(levels.slots) if kind == self.kind
        ]
        return SeekerActor(np.minimum.reduce(to_objects), levels.width)


@dataclasses.dataclass(frozen=True)
class RandomWalker:
    """A policy that takes every action with the same probability."""

    def begin(self, levels: LevelBatch) -> _RandomActor:
        """Return an actor, which depends on nothing in the levels."""
        return _RandomActor()


def scripted_baselines(family: Family) -> dict[str, Seeker | RandomWalker]:
    """Return the scripted baselines that learned agents are compared with, by name."""
    return {
        f"{family.goal}-seeker": Seeker(family.goal),
        f"{family.cue}-seeker": Seeker(family.cue),
        "random-walker": RandomWalker(),
    }
