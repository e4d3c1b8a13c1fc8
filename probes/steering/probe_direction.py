"""`probe-direction`: the direction of a linear probe for the goal's square, written on the target's square.

The steering test of a 1x1 probe (Bush et al., 2025): its direction is added with the length that the goal itself has
along it. Pattern: [C, 1, 1]. The edit uses the goal's and the target's cell.
"""

from __future__ import annotations

import torch
from torch import Tensor

from goalmaze.probes.activations import is_rectified
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.readout.fitting import SquareFitter
from goalmaze.probes.steering.base import PatternMethod
from goalmaze.probes.steering.registry import register_method


@register_method
class ProbeDirectionMethod(PatternMethod):
    """The direction of a probe for the goal's square, scaled to the length that the goal has along it."""

    name = "probe-direction"

    def fit(self, context: FitContext, site: str) -> GoalPattern:
        """Fit the probe on the fitting levels and return its direction as a pattern of one square."""
        maps = context.activations(context.levels, site)
        goals = torch.tensor(context.goals, dtype=torch.long)
        return direction_pattern(site, SquareFitter(maps).fit(goals).direction, maps, goals)


def direction_pattern(site: str, direction: Tensor, maps: Tensor, cells: Tensor) -> GoalPattern:
    """Return a probe's direction as a pattern of one square, scaled by the difference of scores that its label makes.

    Args:
        site: where the probe was fitted.
        direction: float32 [C].
        maps: float32 [N, C, H, W], the activations that it was fitted to.
        cells: int64 [N], the labelled cell in each.
    """
    scores = torch.einsum("nchw,c->nhw", maps, direction).flatten(1)
    present = scores.gather(1, cells[:, None]).mean()
    absent = (scores.sum() - scores.gather(1, cells[:, None]).sum()) / (scores.numel() - len(cells))
    # Adding a multiple m of direction d raises the score by m |d|²; m is the gap between the scores divided by |d|².
    pattern = (direction * (present - absent) / direction.square().sum())[:, None, None]
    return GoalPattern(site, pattern, pattern, is_rectified(maps))
