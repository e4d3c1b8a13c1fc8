"""`aligned-vector`: the mean difference that the goal makes in a 3x3 window around its square.

The mean pattern cut to the squares next to the goal. Closed form. Pattern: [C, 3, 3]. The edit uses the goal's and the
target's cell.
"""

from __future__ import annotations

from typing import ClassVar

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.activations import is_rectified
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.squares import read_window
from goalmaze.probes.steering.base import PatternMethod
from goalmaze.probes.steering.registry import register_method


@register_method
class AlignedVectorMethod(PatternMethod):
    """The mean difference of activations with and without goal and cue, in a window around the goal's square."""

    name = "aligned-vector"
    side: ClassVar = 3

    def fit(self, context: FitContext, site: str) -> GoalPattern:
        """Return the window's mean difference as a pattern.

        Raises:
            GoalmazeError: no fitting level has a goal.
        """
        return aligned_vector(context, site, self.side)


def aligned_vector(context: FitContext, site: str, side: int = 1) -> GoalPattern:
    """Return the mean difference that the goal makes in a window around its square, as a pattern [C, side, side].

    A window of 1 is the difference on the goal's own square. A convolution spreads the goal to the squares next to it,
    which takes a window of 3 or more.

    Raises:
        GoalmazeError: no fitting level has a goal.
    """
    present, absent = context.activations_with_and_without_goal(site)
    has_goal = context.goals != ABSENT
    if not has_goal.any():
        raise GoalmazeError("no fitting level has a goal: an aligned vector needs levels that do")
    # A level without a goal has no window; `read_window` gives undefined numbers for it.
    windows = read_window(present - absent, context.goals, side)[has_goal]
    pattern = windows.mean(dim=0).reshape(-1, side, side)
    return GoalPattern(site, pattern, pattern, is_rectified(present))
