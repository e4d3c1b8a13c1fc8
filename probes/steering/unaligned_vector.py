"""`unaligned-vector`: the cheese vector of Mini et al. (2023) as they first used it.

The mean difference that goal and cue make, square by square, aligned to nothing. Subtracting it removes the goal; it
depends on no cell, so it cannot send the agent anywhere. Closed form. Vector: the shape of the site's activation.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.mean_difference import SteeringVector, mean_difference
from goalmaze.probes.information import NOTHING, Facts
from goalmaze.probes.steering.base import SteeringMethod
from goalmaze.probes.steering.registry import register_method


@dataclasses.dataclass(frozen=True, eq=False)
class VectorSubtraction(FittedSiteEdit):
    """A steering vector that is subtracted, whatever the goal's and the target's cell.

    Attributes:
        vector: what a goal adds on average.
    """

    uses: ClassVar[Facts] = NOTHING

    vector: SteeringVector

    def edit(self, move: GoalMove, strength: float = 1.0) -> SteeringVector:
        """Return the subtraction of the vector; it fits one size of maze."""
        return dataclasses.replace(self.vector, strength=-strength)


@register_method
class UnalignedVectorMethod(SteeringMethod):
    """Subtracts the mean difference that the goal makes, square by square."""

    name = "unaligned-vector"
    uses: ClassVar = NOTHING
    needs_map: ClassVar = False

    def fit(self, context: FitContext, site: str) -> VectorSubtraction:
        """Return the mean difference over the fitting levels."""
        levels = context.levels
        return VectorSubtraction(site, mean_difference(context.policy, levels, levels.without_goal_and_cue(), site))
