"""Difference of means in a 3×3 window: a steering vector laid on the goal's square and the squares around it."""

from __future__ import annotations

from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.mean_difference import aligned_vector
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering.base import PatternMethod


class AlignedVector(PatternMethod):
    """The mean pattern cut to what a goal does next to itself."""

    name = "aligned-vector"
    side: ClassVar = 3

    def find(self, context: FitContext, site: str) -> GoalPattern:
        """Return the window's difference of means as a pattern."""
        return aligned_vector(context, site, self.side)
