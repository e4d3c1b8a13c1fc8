"""The smallest change after which a 1×1 probe for the goal's square reads the target (learned-planner)."""

from __future__ import annotations

import torch

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.minimal_edit import MinimalProjection
from goalmaze.probes.edits.patterns import is_rectified
from goalmaze.probes.readout.fitting import SquareFitter
from goalmaze.probes.steering.base import Method


class MinimalProjectedEdit(Method):
    """Changes two squares as little as the probe needs, anew at every step."""

    name = "minimal-edit"

    def find(self, context: FitContext, site: str) -> MinimalProjection:
        """Fit the probe on the workshop's levels."""
        maps = context.read(context.levels, site)
        probe = SquareFitter(maps).fit(torch.tensor(context.goals, dtype=torch.long))
        return MinimalProjection(site, probe.direction, is_rectified(maps))
