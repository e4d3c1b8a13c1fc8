"""`irrelevant-probe`: the control of `linear-probe`. It reads a concept that says nothing about goal or cue."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from goalmaze.agents.networks.base import agent_cells
from goalmaze.agents.training.penalties.registry import register_penalty
from goalmaze.probes.penalties.directions import DirectionPenalty

QUADRANTS = 4


@register_penalty
class IrrelevantProbePenalty(DirectionPenalty):
    """Logistic regression of the quadrant of the maze in which the agent stands."""

    name = "irrelevant-probe"

    def classes(self, observations: Tensor) -> Tensor:
        """Return bool [b, 4], the quadrant: upper left, upper right, lower left, lower right."""
        height, width = observations.shape[2:]
        cells = agent_cells(observations)
        lower, right = cells // width > height // 2, cells % width > width // 2
        return one_hot(2 * lower.long() + right.long(), QUADRANTS).bool().to(torch.device("cpu"))
