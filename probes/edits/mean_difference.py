"""Steering vectors: differences of means with and without the goal, laid on its square or left where they were."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Rewrite, check_channels
from goalmaze.probes.edits.patterns import GoalPattern, is_rectified
from goalmaze.probes.information import NOTHING, Knowledge
from goalmaze.probes.squares import around


@dataclasses.dataclass(frozen=True, eq=False)
class SteeringVector(Rewrite):
    """Adds one and the same activation in every level: the cheese vector of Mini et al. (2023), aligned to nothing.

    A strength of -1 takes the goal away; it knows no cell, so it can send the agent nowhere.

    Attributes:
        vector: float32 [C, h, w] or [F], as the site holds it.
        rectified: whether the site never holds negative values; the edited one then neither.
    """

    vector: Tensor = dataclasses.field(kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """Nothing of the maze."""
        return NOTHING

    def check(self, site: Site) -> None:
        """Refuse a site with other channels."""
        check_channels(site, len(self.vector))

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, ...] + strength * vector."""
        return activation if self.strength == 0 else self.changed(activation, rows)

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, ...] + strength * vector."""
        if activation.shape[1:] != self.vector.shape:
            raise GoalmazeError(
                f"steering vector at site '{self.site}' has shape {tuple(self.vector.shape)}, the activation of a "
                f"level {tuple(activation.shape[1:])}; find it at this site and maze size"
            )
        result = activation + self.strength * self.vector
        return result.relu() if self.rectified else result


def goal_vector(context: FitContext, site: str) -> SteeringVector:
    """Return the mean over mazes of (activation with goal and cue) - (activation without), square by square."""
    present = context.read(context.levels, site)
    vector = (present - context.read(context.levels.without_goal_and_cue(), site)).mean(dim=0)
    return SteeringVector(site, vector=vector, rectified=is_rectified(present))


def aligned_vector(context: FitContext, site: str, side: int = 1) -> GoalPattern:
    """Return the same difference in a window around the goal's square alone, as a pattern to write anywhere.

    A window of 1 is the vector of a square; a goal that a convolution has spread takes 3 or more.
    """
    present = context.read(context.levels, site)
    standing = context.goals != ABSENT
    if not standing.any():
        raise GoalmazeError("no maze of the workshop has a goal; a steering vector needs some that do")
    own = around(present - context.read(context.levels.without_goal_and_cue(), site), context.goals, side)[standing]
    pattern = own.mean(dim=0).reshape(-1, side, side)
    return GoalPattern(site, pattern, pattern, is_rectified(present))
