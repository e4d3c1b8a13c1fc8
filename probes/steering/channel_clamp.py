"""Channels clamped, as by Mini et al. (2023), but found by numbers: at the target they get a goal's value."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.envs.cells import ABSENT
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.edits.channels import ClampChannels, goal_channels
from goalmaze.probes.edits.composition import SequentialEdits
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import CELLS, Knowledge
from goalmaze.probes.squares import at_cells
from goalmaze.probes.steering.base import Method


@dataclasses.dataclass(frozen=True, eq=False)
class ClampedGoal:
    """Channels with the values they are held at.

    Attributes:
        site: where.
        channels: k of them.
        present: float32 [k], on a goal's square.
        absent: float32 [k], on the same squares without a goal.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
    channels: tuple[int, ...]
    present: Tensor
    absent: Tensor

    def edit(self, move: GoalMove, strength: float = 1.0) -> Edit:
        """Return the clamps of the old goal's square and, last, of the target's."""
        pairs = ((move.goals, self.absent), (move.targets, self.present))
        return SequentialEdits(
            tuple(
                ClampChannels(self.site, self.channels, values=values, cells=cells, strength=strength)
                for cells, values in pairs
            )
        )


class ChannelClamp(Method):
    """Holds the channels that a goal changes most, in their own spread, at the values it gives them."""

    name = "channel-clamp"
    count: ClassVar = 8

    def find(self, context: FitContext, site: str) -> ClampedGoal:
        """Return the channels and their mean values on the workshop's levels."""
        present, absent = context.read(context.levels, site), context.read(context.levels.without_goal_and_cue(), site)
        chosen = goal_channels(present - absent, context.goals, self.count)
        standing = torch.from_numpy(context.goals != ABSENT)
        means = [at_cells(maps, context.goals)[standing][:, list(chosen)].mean(dim=0) for maps in (present, absent)]
        return ClampedGoal(site, chosen, means[0], means[1])
