"""Steering vectors: a mean difference of activations, added in every level (Turner et al., 2023; Mini et al., 2023)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import is_rectified, level_activations
from goalmaze.probes.edits.base import AdditiveEdit, check_channels, check_shape
from goalmaze.probes.information import NOTHING, Facts


@dataclasses.dataclass(frozen=True, eq=False)
class SteeringVector(AdditiveEdit):
    """Adds the same activation in every level; a strength of -1 subtracts it.

    It depends on no cell, so it cannot send the agent anywhere.

    Attributes:
        vector: float32 [C, h, w] or [F], the shape of the site's activation for one level.
    """

    uses: ClassVar[Facts] = NOTHING

    vector: Tensor = dataclasses.field(kw_only=True)

    def check(self, site: Site) -> None:
        """Refuse a site with another number of channels."""
        # Before a forward pass only the channels are known; `addition` checks the sides of the maze.
        check_channels(site, len(self.vector))

    def addition(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the vector; it is broadcast over the levels."""
        check_shape(self.vector.shape, activation, self.site)
        return self.vector


def mean_difference(policy: NetworkPolicy, present: LevelBatch, absent: LevelBatch, site: str) -> SteeringVector:
    """Return the mean difference of a site's activations before the first step of two batches of levels.

    Args:
        policy: the policy of the network that has the site.
        present: B levels with something in them.
        absent: the same B levels without it.
        site: the site.

    Raises:
        GoalmazeError: the batches differ in length, or the site is unknown.
    """
    if len(present) != len(absent):
        raise GoalmazeError(f"{len(present)} levels cannot be compared with {len(absent)}: give each of them twice")
    with_it, without_it = (level_activations(policy, levels, site) for levels in (present, absent))
    return SteeringVector(site, vector=(with_it - without_it).mean(dim=0), rectified=is_rectified(with_it))
