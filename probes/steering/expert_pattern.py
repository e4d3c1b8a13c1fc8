"""A learned pattern again, but taught by the shortest way: gradient descent until right moves are likely."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering.base import PatternMethod
from goalmaze.probes.steering.mean_pattern import MeanPattern
from goalmaze.probes.training_batch import descend, draw_training_batch

UPDATES = 600
BATCH = 128
LEARNING_RATE = 0.01


class ExpertPattern(PatternMethod):
    """Two free patterns, one arriving and one leaving, the same for all mazes; they start at the mean pattern.

    The pupil is the agent under the edit on a random cell; the loss is minus the log of the chance that it makes a move
    which shortens the way to the target, around the true goal where there is a way around it. A teacher that saw the
    goal moved could not be beaten; this one can.
    """

    name = "expert-pattern"

    def find(self, context: FitContext, site: str) -> GoalPattern:
        """Return the trained pattern."""
        start = MeanPattern().find(context, site)
        free = [start.arriving.clone().requires_grad_(), start.leaving.clone().requires_grad_()]
        choice = np.random.default_rng(context.seed)

        def loss() -> Tensor:
            training_batch = draw_training_batch(context, choice, BATCH)
            pattern = GoalPattern(site, free[0], free[1], start.rectified)
            return training_batch.loss([pattern.edit(training_batch.move)])

        arriving, leaving = descend(free, loss, context.updates(UPDATES), LEARNING_RATE)
        return GoalPattern(site, arriving, leaving, start.rectified)
