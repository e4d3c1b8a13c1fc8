"""`mean-pattern`: the mean difference that the goal makes in a map, aligned on the goal's square.

The cheese vector of Mini et al. (2023), shifted so that the goals of all fitting levels coincide; it can then be placed
around any square. Closed form. Pattern: [C, 2H-1, 2W-1]. The edit uses the goal's and the target's cell.
"""

from __future__ import annotations

from goalmaze.probes.activations import is_rectified
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern, mean_around
from goalmaze.probes.steering.base import PatternMethod
from goalmaze.probes.steering.registry import register_method


@register_method
class MeanPatternMethod(PatternMethod):
    """The mean difference of activations with and without goal and cue, around the goal's square."""

    name = "mean-pattern"

    def fit(self, context: FitContext, site: str) -> GoalPattern:
        """Return the mean over levels of (activation with goal and cue) - (activation without them)."""
        present, absent = context.activations_with_and_without_goal(site)
        pattern = mean_around(present - absent, context.goals)
        return GoalPattern(site, pattern, pattern, is_rectified(present), self.uses)
