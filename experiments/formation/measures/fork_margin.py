"""`fork-margin`: the logit of steps towards the cue against steps towards the goal, where the two part."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.experiments.formation.exact import CellPolicy
from goalmaze.experiments.formation.measures.base import Kind, Measure, Numbers, Reading, Snapshot

LEAST = 1e-12
"""Probabilities below this count as this, so that the logit is finite."""


class ForkMargin(Measure):
    """The mean logit over all cells on which a step nearer to the cue alone and one nearer to the goal alone exist."""

    name = "fork-margin"
    kind: ClassVar[Kind] = "behaviour"

    def read(self, snapshot: Snapshot) -> Reading:
        """Return the margin on the levels of the series."""
        margins, forks = fork_margins(snapshot.series)
        sums, counts = np.where(forks, margins, 0.0).sum(axis=1), forks.sum(axis=1)
        return Reading.of_levels(lambda rows: float(sums[rows].sum() / max(counts[rows].sum(), 1)))


def fork_margins(policy: CellPolicy) -> tuple[Numbers, Bools]:
    """Return float64 [B, N], the logit on each cell, and bool [B, N], where it is defined."""
    levels = policy.levels
    to_goal, to_cue = (nearer(levels, levels.cells(one)) for one in (levels.family.goal, levels.family.cue))
    goal_alone, cue_alone = to_goal & ~to_cue, to_cue & ~to_goal
    forks = policy.cells & goal_alone.any(axis=2) & cue_alone.any(axis=2)
    goal, cue = (np.where(one, policy.probabilities, 0.0).sum(axis=2) for one in (goal_alone, cue_alone))
    return np.log(np.maximum(cue, LEAST)) - np.log(np.maximum(goal, LEAST)), forks


def nearer(levels: LevelBatch, cells: Cells) -> Bools:
    """Return bool [B, N, A], whether each move from each cell leads nearer to `cells`, int32 [B]."""
    steps = distances(levels, cells)
    result = np.zeros((*steps.shape, len(cell_steps(levels.width))), np.bool_)
    b, cell = np.nonzero(levels.free())
    for action, offset in enumerate(cell_steps(levels.width)):
        result[b, cell, action] = steps[b, cell + offset] < steps[b, cell]
    return result
