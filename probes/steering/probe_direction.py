"""A probe's own direction, written: the steering test of a per-square reading."""

from __future__ import annotations

import torch
from torch import Tensor

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern, is_rectified
from goalmaze.probes.readout.fitting import SquareFitter
from goalmaze.probes.steering.base import PatternMethod


class ProbeDirection(PatternMethod):
    """The direction of a 1×1 probe for the goal's square (Bush et al., 2025), as long as the goal itself makes it."""

    name = "probe-direction"

    def find(self, context: FitContext, site: str) -> GoalPattern:
        """Fit the probe on the workshop's levels and return its direction as a pattern of one square."""
        maps = context.read(context.levels, site)
        goals = torch.tensor(context.goals, dtype=torch.long)
        return direction_pattern(site, SquareFitter(maps).fit(goals).direction, maps, goals)


def direction_pattern(site: str, direction: Tensor, maps: Tensor, cells: Tensor) -> GoalPattern:
    """Return a direction [C] as a pattern [C, 1, 1], scaled to what its target makes of it.

    Args:
        site: where it was found.
        direction: float32 [C].
        maps: float32 [N, C, H, W], activations it was found in.
        cells: int64 [N], the target's cell in each.
    """
    scores = torch.einsum("nchw,c->nhw", maps, direction).flatten(1)
    present = scores.gather(1, cells[:, None]).mean()
    absent = (scores.sum() - scores.gather(1, cells[:, None]).sum()) / (scores.numel() - len(cells))
    pattern = (direction * (present - absent) / direction.square().sum())[:, None, None]
    return GoalPattern(site, pattern, pattern, is_rectified(maps))
