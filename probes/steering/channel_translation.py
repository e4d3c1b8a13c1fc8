"""`channel-translation`: moves the activation that the goal itself has made, by swapping two windows of a map.

In the channels that a goal changes most, the 3x3 window around the goal is swapped with the one around the target.
Closed form. The edit uses the goal's and the target's cell and the activation.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.cells import ABSENT
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, check_is_map
from goalmaze.probes.edits.channels import check_channel_numbers, goal_channels
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove, level_move
from goalmaze.probes.information import ACTIVATION, CELLS, Facts
from goalmaze.probes.squares import read_window, write_window
from goalmaze.probes.steering.base import WindowMethod
from goalmaze.probes.steering.registry import register_method


@dataclasses.dataclass(frozen=True, eq=False)
class SwapWindows(Edit):
    """Swaps the values of channels in the windows around the goal and the target of each level.

    Attributes:
        channels: channel numbers.
        move: of the goal, in the B levels of the batch; nothing is swapped where the goal is `ABSENT`.
        side: rows and columns of a window.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION}

    channels: tuple[int, ...]
    move: GoalMove
    side: int = 1

    def check(self, site: Site) -> None:
        """Refuse a site without these channels or without squares."""
        check_channel_numbers(site, self.channels)
        check_is_map(site)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return maps [b, C, H, W] with the windows swapped."""
        move, channels = level_move(self.move, context, self.site), list(self.channels)
        maps = activation[:, channels]
        at_goal, at_target = (read_window(maps, cells, self.side) for cells in (move.goals, move.targets))
        swapped = write_window(maps, move.goals, at_target, self.side)
        # The target's window is written last: where the two overlap, what was at the goal counts.
        swapped = write_window(swapped, move.targets, at_goal, self.side)
        # Without a goal, what was read around it is undefined and must not reach the target.
        has_goal = torch.from_numpy(move.goals != ABSENT)[:, None, None, None]
        result = activation.clone()
        result[:, channels] = torch.where(has_goal, swapped, maps)
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class GoalTranslation(FittedSiteEdit):
    """Channels whose windows are swapped.

    Attributes:
        channels: channel numbers.
        side: rows and columns of a window.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION}

    channels: tuple[int, ...]
    side: int = 1

    def edit(self, move: GoalMove, strength: float = 1.0) -> SwapWindows:
        """Return the swap of the windows around goal and target."""
        return SwapWindows(self.site, self.channels, move, self.side, strength=strength)


@register_method
class ChannelTranslationMethod(WindowMethod):
    """Swaps the windows of the channels that a goal changes most."""

    name = "channel-translation"
    count: ClassVar = 8

    def fit(self, context: FitContext, site: str) -> GoalTranslation:
        """Return the channels that a goal changes most on the fitting levels."""
        present, absent = context.activations_with_and_without_goal(site)
        return GoalTranslation(site, goal_channels(present - absent, context.goals, self.count), self.side)
