"""The cheese vector as it was first used: subtracted, it takes the goal away; it names no cell and sends nowhere."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.mean_difference import SteeringVector, goal_vector
from goalmaze.probes.information import NOTHING, Knowledge
from goalmaze.probes.steering.base import Method


@dataclasses.dataclass(frozen=True, eq=False)
class Removal:
    """A steering vector to be subtracted wherever the goal is to be.

    Attributes:
        vector: what a goal adds on average.
    """

    vector: SteeringVector
    uses: ClassVar[Knowledge] = NOTHING

    @property
    def site(self) -> str:
        """Where."""
        return self.vector.site

    def edit(self, move: GoalMove, strength: float = 1.0) -> SteeringVector:
        """Return the vector, subtracted; it is the same for all cells, and for one size of maze."""
        return dataclasses.replace(self.vector, strength=-strength)


class UnalignedVector(Method):
    """Subtracts the mean difference that the goal makes, square by square, aligned to nothing (Mini et al., 2023)."""

    name = "unaligned-vector"
    uses = NOTHING
    needs_map: ClassVar = False

    def find(self, context: FitContext, site: str) -> Removal:
        """Return the vector of the workshop's mazes."""
        return Removal(goal_vector(context, site))
