"""`plane-ablation`: which part of the value is lost with the plane of the cue, and which with that of the goal."""

from __future__ import annotations

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.agents.training.penalties.base import Penalty
from goalmaze.agents.training.penalties.registry import register_penalty
from goalmaze.agents.training.penalties.value_gradient import cue_fraction


@register_penalty
class PlaneAblationPenalty(Penalty):
    """The cue's part of the value that is lost if the planes of goal or cue are emptied, from 0 to 1.

    The levels are of the training distribution, so both objects are on one cell; the ablated inputs are synthetic.
    """

    name = "plane-ablation"

    def scores(self, network: Network, observations: Tensor) -> Tensor:
        """Return float32 [b], the part of the cue."""
        without = [self.planes.without(observations, planes) for planes in (self.planes.goal, self.planes.cue)]
        values, no_goal, no_cue = network(torch.cat([observations, *without]))[1].float().chunk(3)
        return cue_fraction(values - no_goal, values - no_cue)
