"""`linear-probe`: from one activation, in which direction the cue lies; a cue-follower needs to know it to act."""

from __future__ import annotations

from torch import Tensor

from goalmaze.agents.training.penalties.registry import register_penalty
from goalmaze.probes.penalties.directions import DirectionPenalty


@register_penalty
class LinearProbePenalty(DirectionPenalty):
    """Logistic regression of the steps towards the cue, on levels under the distinguishing shift."""

    name = "linear-probe"

    def classes(self, observations: Tensor) -> Tensor:
        """Return bool [b, A], the actions that lead nearer to the cue; those alone that do not lead to the goal too."""
        cue, goal = (self.planes.steps_towards(observations, one) for one in (self.planes.cue, self.planes.goal))
        alone = cue & ~goal
        # On one cell, or in the same direction, goal and cue share their steps: the steps to the cue then count.
        return alone | (cue & ~alone.any(dim=1, keepdim=True))
