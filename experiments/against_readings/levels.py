"""The levels of the readings, under the distinguishing shift, with the steps towards cue and goal.

Axes: N levels, A actions.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from goalmaze.agents.training.penalties.cue_planes import CuePlanes
from goalmaze.envs.levels import EVALUATION, FITTING, NO_SHIFT, Family, LevelBatch
from goalmaze.envs.observations.spec import DEFAULT_SPEC
from goalmaze.envs.observations.views import make_view

SEED = 7021
"""Seed of all levels of the readings. Pools of penalties have the seeds of their runs."""

Target: TypeAlias = Literal["cue", "goal"]

LEVELS = 2048
"""Fitting levels, and as many evaluation levels."""


@dataclasses.dataclass(frozen=True, eq=False)
class ReadingLevels:
    """Levels of one split, as an agent observes them before its first step.

    Attributes:
        levels: the N levels.
        observations: uint8 [N, C, H, W].
        to_cue: bool [N, A], the actions that lead nearer to the cue and not nearer to the goal.
        to_goal: bool [N, A], the actions that lead nearer to the goal and not nearer to the cue.
    """

    levels: LevelBatch
    observations: Tensor
    to_cue: Tensor
    to_goal: Tensor

    @property
    def known(self) -> Tensor:
        """bool [N], the levels on which one step leads to the cue alone and another to the goal alone."""
        return self.to_cue.any(dim=1) & self.to_goal.any(dim=1)

    def steps(self, to: Target) -> Tensor:
        """Return bool [N, A], the steps towards the cue or the goal alone."""
        return self.to_cue if to == "cue" else self.to_goal

    def labels(self, to: Target) -> Tensor:
        """Return int64 [N], such a step; -1 on levels that are not known."""
        return torch.where(self.known, self.steps(to).int().argmax(dim=1), -1)

    def accuracy(self, scores: Tensor, to: Target = "cue") -> float:
        """Return the rate of known levels on which the highest of scores [N, A] is a step to cue or goal alone."""
        chosen = scores.argmax(dim=1, keepdim=True)
        return float(self.steps(to).gather(1, chosen)[self.known].float().mean())


@functools.lru_cache(maxsize=2)
def reading_levels(family: Family, count: int = LEVELS) -> tuple[ReadingLevels, ReadingLevels]:
    """Return as many fitting and evaluation levels of a family under its distinguishing shift."""
    planes = CuePlanes(family, make_view(family, DEFAULT_SPEC))

    def drawn(split: str) -> ReadingLevels:
        levels = family.levels(SEED, count=count, shift=family.distinguishing_shift, split=split)
        observations = planes.first_observations(levels)
        cue, goal = (planes.steps_towards(observations, one) for one in (planes.cue, planes.goal))
        return ReadingLevels(levels, observations, cue & ~goal, goal & ~cue)

    return drawn(FITTING), drawn(EVALUATION)


@functools.lru_cache(maxsize=2)
def training_observations(family: Family, count: int = 1024) -> Tensor:
    """Return uint8 [N, C, H, W], first observations of evaluation levels of the training distribution."""
    planes = CuePlanes(family, make_view(family, DEFAULT_SPEC))
    return planes.first_observations(family.levels(SEED, count=count, shift=NO_SHIFT, split=EVALUATION))
