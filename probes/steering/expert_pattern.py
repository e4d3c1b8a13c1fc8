"""`expert-pattern`: a pattern learned until optimal actions towards the target are likely.

Two patterns [C, 2H-1, 2W-1] as in the learned pattern, with another loss: minus the log probability that the edited
agent, on a random cell, takes an action that shortens the path to the target, around the true goal where there is a
path around it. Imitation of an agent that sees the goal moved can at best equal that agent; this loss can do better.
The edit uses the goal's and the target's cell; in training, paths are labels.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from torch import Tensor

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.optimisation import descend
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.edits.training_batch import draw_training_batch
from goalmaze.probes.information import CELLS, PATH_LABELS
from goalmaze.probes.steering.base import PatternMethod
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod

UPDATES = 600
BATCH = 128
LEARNING_RATE = 0.01


class ExpertPatternMethod(PatternMethod):
    """Two patterns learned from optimal actions; they start at the mean pattern."""

    name = "expert-pattern"
    uses: ClassVar = CELLS | {PATH_LABELS}

    def fit(self, context: FitContext, site: str) -> GoalPattern:
        """Return the trained pattern."""
        start = dataclasses.replace(MeanPatternMethod().fit(context, site), uses=self.uses)
        at_target, at_goal = start.at_target.clone().requires_grad_(), start.at_goal.clone().requires_grad_()
        pattern = dataclasses.replace(start, at_target=at_target, at_goal=at_goal)
        rng = np.random.default_rng(context.seed)

        def loss() -> Tensor:
            batch = draw_training_batch(context, rng, BATCH)
            return batch.loss(pattern.edits(batch.move))

        updates = context.updates(UPDATES)
        trained = descend([at_target, at_goal], loss, updates, LEARNING_RATE, final_fraction=0.03)
        return dataclasses.replace(start, at_target=trained[0], at_goal=trained[1])
