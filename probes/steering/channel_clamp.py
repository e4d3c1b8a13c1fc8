"""`channel-clamp`: the channels that a goal changes most are clamped to their goal values on the target's square.

Clamping of "cheese channels" by Mini et al. (2023), with channels and values fitted instead of chosen by hand: on the
goal's square they get their mean without a goal, on the target's square their mean with one. Closed form. The edit uses
the goal's and the target's cell.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.envs.cells import ABSENT
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.channels import ClampChannels, goal_channels
from goalmaze.probes.edits.composition import SequentialEdits
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.squares import read_square
from goalmaze.probes.steering.base import SteeringMethod
from goalmaze.probes.steering.registry import register_method


@dataclasses.dataclass(frozen=True, eq=False)
class GoalClamp(FittedSiteEdit):
    """Channels, with their values on a square with a goal and without one.

    Attributes:
        channels: k channel numbers.
        present: float32 [k], means on the goal's square.
        absent: float32 [k], means on the same squares without the goal.
    """

    channels: tuple[int, ...]
    present: Tensor
    absent: Tensor

    def edit(self, move: GoalMove, strength: float = 1.0) -> SequentialEdits:
        """Return the clamps of the goal's square and then of the target's square."""
        return SequentialEdits(
            tuple(
                ClampChannels(self.site, self.channels, values=values, cells=cells, strength=strength)
                # The target comes last: where it is the goal's own square, its values count.
                for cells, values in ((move.goals, self.absent), (move.targets, self.present))
            )
        )


@register_method
class ChannelClampMethod(SteeringMethod):
    """Clamps the channels that a goal changes most, in units of their standard deviation."""

    name = "channel-clamp"
    count: ClassVar = 8

    def fit(self, context: FitContext, site: str) -> GoalClamp:
        """Return the channels and their mean values on the fitting levels."""
        maps = context.activations_with_and_without_goal(site)
        channels = goal_channels(maps[0] - maps[1], context.goals, self.count)
        has_goal = torch.from_numpy(context.goals != ABSENT)
        present, absent = (read_square(one, context.goals)[has_goal][:, list(channels)].mean(dim=0) for one in maps)
        return GoalClamp(site, channels, present, absent)
