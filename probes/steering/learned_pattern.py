"""`learned-pattern`: a pattern learned so that the agent acts as if it saw the goal moved.

Two patterns [C, 2H-1, 2W-1], one added around the target and one subtracted around the goal, the same for all mazes.
They start at the mean pattern. The loss is the KL divergence of the edited agent from the same agent in the levels with
goal and cue really moved. The edit uses the goal's and the target's cell.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from torch import Tensor

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.optimisation import descend, imitation_loss
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering.base import PatternMethod
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.steering.registry import register_method
from goalmaze.probes.targets import draw_targets

UPDATES = 250
BATCH = 128
LEARNING_RATE = 0.03


@register_method
class LearnedPatternMethod(PatternMethod):
    """Two patterns learned by imitation of the agent that sees the goal moved."""

    name = "learned-pattern"

    def fit(self, context: FitContext, site: str) -> GoalPattern:
        """Return the trained pattern."""
        start = MeanPatternMethod().fit(context, site)
        at_target, at_goal = start.at_target.clone().requires_grad_(), start.at_goal.clone().requires_grad_()
        pattern = dataclasses.replace(start, at_target=at_target, at_goal=at_goal)
        rng = np.random.default_rng(context.seed)

        def loss() -> Tensor:
            rows = rng.choice(len(context.levels), min(BATCH, len(context.levels)), replace=False)
            levels = context.levels.take(rows)
            # New targets at every update: the pattern has to work for any cell.
            targets = draw_targets(levels, int(rng.integers(2**31)))
            edits = pattern.edits(GoalMove.on(levels, targets))
            return imitation_loss(context.policy, levels, levels.with_goal_and_cue_at(targets), edits)

        trained = descend([at_target, at_goal], loss, context.updates(UPDATES), LEARNING_RATE)
        return dataclasses.replace(start, at_target=trained[0], at_goal=trained[1])
