"""What evaluation needs to know of levels and not of an agent: shortest paths, optimal returns, levels that count.

It is computed once for a batch of levels, however many agents are evaluated on them.
"""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import Distances, distances, pick
from goalmaze.experiments.evaluate import metrics

DISCOUNT = 0.97
"""Discount of returns and regret; the same for all agents, so that they compare."""


@dataclasses.dataclass(frozen=True, eq=False)
class SolvedLevels:
    """Facts of B levels.

    Attributes:
        levels: the B levels.
        goals: int32 [B], the cell of the goal where there is exactly one; `ABSENT` elsewhere.
        from_start: int32 [B, H*W], steps from the agent's start to every cell.
        best: float64 [B], the best true return without discount.
        best_discounted: float64 [B], the best true return with `DISCOUNT`.
        cue_blocked: bool [B], cues pay but every path to each of them ends the episode first.
        off_path: bool [B], there is one goal and one cue, and neither lies on a shortest path to the other.
        goal_minus_cue: int32 [B], fewest steps to the goal minus those to the cue; 0 where not `off_path`.
        to_nearest_goal: int32 [B], fewest steps to the nearest goal; `UNREACHABLE` where there is none.
    """

    levels: LevelBatch
    goals: Cells
    from_start: Distances
    best: NDArray[np.float64]
    best_discounted: NDArray[np.float64]
    cue_blocked: Bools
    off_path: Bools
    goal_minus_cue: Cells
    to_nearest_goal: Cells

    @classmethod
    def of(cls, levels: LevelBatch) -> Self:
        """Return the facts of B levels."""
        family, from_start = levels.family, distances(levels, levels.start)
        goals, cues = metrics.single_object(levels, family.goal), metrics.single_object(levels, family.cue)
        off_path = metrics.off_each_others_path(levels, goals, cues)
        difference = np.where(off_path, pick(from_start, goals) - pick(from_start, cues), 0)
        to_goals = [
            pick(from_start, levels.objects[:, k]) for k, name in enumerate(levels.slots) if name == family.goal
        ]
        return cls(
            levels=levels,
            goals=goals,
            from_start=from_start,
            best=family.optimal_returns(levels, 1.0),
            best_discounted=family.optimal_returns(levels, DISCOUNT),
            cue_blocked=metrics.cue_blocked(levels),
            off_path=off_path,
            goal_minus_cue=difference.astype(np.int32),
            to_nearest_goal=np.minimum.reduce(to_goals),
        )
