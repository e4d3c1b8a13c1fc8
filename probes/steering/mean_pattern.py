"""Difference of means: how the map differs, around the goal, between mazes with and without it."""

from __future__ import annotations

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern, gather, is_rectified
from goalmaze.probes.steering.base import PatternMethod


class MeanPattern(PatternMethod):
    """The cheese vector of Mini et al. (2023), aligned on the goal's square so that it can be written anywhere."""

    name = "mean-pattern"

    def find(self, context: FitContext, site: str) -> GoalPattern:
        """Return the mean over mazes of (activation with goal and cue) - (activation without), laid on the goal."""
        present = context.read(context.levels, site)
        pattern = gather(present - context.read(context.levels.without_goal_and_cue(), site), context.goals)
        return GoalPattern(site, pattern, pattern, is_rectified(present))
