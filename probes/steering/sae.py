"""Features of a sparse autoencoder of 3×3 windows that tell a goal, set at goal and target."""

from __future__ import annotations

from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.coordinates import GoalCoordinates
from goalmaze.probes.edits.sae import UPDATES, find_goal_features
from goalmaze.probes.steering.base import Method


class SparseFeatures(Method):
    """The sixteen features that the goal's coming changes most get the values they have with and without one."""

    name = "sparse-features"
    count: ClassVar = 16
    side: ClassVar = 3

    def find(self, context: FitContext, site: str) -> GoalCoordinates:
        """Train the autoencoder on the workshop's levels and choose its features."""
        return find_goal_features(context, site, self.count, self.side, context.updates(UPDATES))
