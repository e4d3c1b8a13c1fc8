"""`expert-pattern`: a pattern learned until optimal actions towards the target are likely.

Two patterns [C, 2H-1, 2W-1] as in the learned pattern, with another loss: minus the log probability that the edited
agent, on a random cell, takes an action that shortens the path to the target. Where there is a path around the true
goal, only such paths count. Imitation can at best equal the agent that sees the goal moved; this loss can do better.
The edit uses the goal's and the target's cell; in training, paths are labels.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.edits.training_batch import Schedule, learn_target_and_goal
from goalmaze.probes.information import CELLS, PATH_LABELS
from goalmaze.probes.steering.base import PatternMethod
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.steering.registry import register_method

SCHEDULE = Schedule(updates=600, batch=128, learning_rate=0.01)


@register_method
class ExpertPatternMethod(PatternMethod):
    """Two patterns learned from optimal actions; they start at the mean pattern."""

    name = "expert-pattern"
    uses: ClassVar = CELLS | {PATH_LABELS}

    def fit(self, context: FitContext, site: str) -> GoalPattern:
        """Return the trained pattern."""
        start = dataclasses.replace(MeanPatternMethod().fit(context, site), uses=self.uses)
        return learn_target_and_goal(context, start, SCHEDULE)
