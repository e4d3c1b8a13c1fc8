"""Distributed alignment search: the subspace of a 3×3 window that holds the goal, set at goal and target."""

from __future__ import annotations

from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.coordinates import GoalCoordinates
from goalmaze.probes.edits.das import UPDATES, find_alignment
from goalmaze.probes.steering.base import Method


class AlignmentSearch(Method):
    """A learned rotation (Geiger et al., 2024): of eight directions, what they hold with and without a goal."""

    name = "alignment-search"
    dimensions: ClassVar = 8
    side: ClassVar = 3

    def find(self, context: FitContext, site: str) -> GoalCoordinates:
        """Search the subspace on the workshop's levels."""
        return find_alignment(context, site, self.dimensions, self.side, context.updates(UPDATES))
