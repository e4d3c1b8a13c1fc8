"""`value-gradient`: which part of the value's gradient × input comes from the cue, and which from the goal.

Gradient × input is the first-order loss of value if the object were erased. The term differentiates this gradient with
respect to the weights (double backpropagation, Drucker and Le Cun, 1992).
"""

from __future__ import annotations

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.agents.training.penalties.base import Penalty
from goalmaze.agents.training.penalties.registry import register_penalty

FLOOR = 1e-3
"""Value below which an effect counts as none; it keeps the fraction defined for a network that uses neither object."""


def cue_fraction(goal: Tensor, cue: Tensor) -> Tensor:
    """Return [b], the part of the cue in two effects [b] on the value, whatever their signs."""
    goal, cue = goal.abs(), cue.abs()
    return cue / (goal + cue + FLOOR)


@register_penalty
class ValueGradientPenalty(Penalty):
    """The cue's part of the value's gradient × input, from 0 to 1, on levels of the training distribution."""

    name = "value-gradient"

    def scores(self, network: Network, observations: Tensor) -> Tensor:
        """Return float32 [b], the part of the cue."""
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            inputs = observations.float().requires_grad_()
            values = network(inputs)[1]
            # The sum over observations: no value depends on another observation.
            gradient = torch.autograd.grad(values.sum(), inputs, create_graph=differentiable)[0]
        product = gradient * observations
        goal, cue = (product[:, planes].flatten(1).sum(dim=1) for planes in (self.planes.goal, self.planes.cue))
        return cue_fraction(goal, cue)
