"""Goal patterns: the activation that a goal adds around its square, which can be placed around any other square."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.probes.edits.base import Add
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import CELLS, Facts


@dataclasses.dataclass(frozen=True, eq=False)
class GoalPattern(FittedSiteEdit):
    """What is added to a map around the target's square and subtracted around the goal's, the same in every maze.

    Attributes:
        at_target: float32 [C, h, w] with h and w odd, added with its middle on the target's square.
        at_goal: float32 [C, h, w], subtracted with its middle on the goal's square.
        rectified: whether the site is never negative, as after a ReLU; the result is then clipped at 0.
        uses: the facts that its edits are given.

    Example:
        >>> import goalmaze as gm
        >>> pattern = gm.fit_edit(gm.load("zoo:green-exit"), "mean-pattern", site="block1", levels=64)
        >>> pattern.at_target.shape
        torch.Size([16, 17, 17])
    """

    at_target: Tensor
    at_goal: Tensor
    rectified: bool
    uses: Facts = CELLS

    def edit(self, move: GoalMove, strength: float = 1.0) -> Add:
        """Return the edit that moves the goal in each level. Where a goal is `ABSENT` nothing is subtracted."""
        height, width = move.height, move.width
        added = place_pattern(self.at_target, move.targets, height, width)
        subtracted = place_pattern(self.at_goal, move.goals, height, width)
        return Add(self.site, added - subtracted, rectified=self.rectified, uses=self.uses, strength=strength)


def place_pattern(pattern: Tensor, cells: Cells, height: int, width: int) -> Tensor:
    """Return float32 [B, C, H, W], a pattern with its middle on each cell, cut off at the border and zero elsewhere.

    Args:
        pattern: float32 [C, h, w], h and w odd.
        cells: int32 [B]; the result is zero everywhere for `ABSENT`.
        height: H.
        width: W.
    """
    # `ABSENT` is laid out as cell 0 and zeroed at the end.
    rows, columns = np.divmod(np.maximum(cells, 0), width)
    # Every placement is one H x W window of the padded pattern, so that all levels are one gather.
    windows = _padded(pattern, height, width).unfold(1, height, 1).unfold(2, width, 1)
    placed = windows[:, torch.from_numpy(height - 1 - rows), torch.from_numpy(width - 1 - columns)].transpose(0, 1)
    if (cells == ABSENT).any():
        placed = placed * torch.from_numpy(cells != ABSENT)[:, None, None, None]
    return placed


def middle(pattern: Tensor, side: int) -> Tensor:
    """Return float32 [C, side, side], the middle of a pattern [C, h, w]; all of it where it is no larger.

    Args:
        pattern: h and w odd.
        side: rows and columns, odd.
    """
    _, height, width = pattern.shape
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return pattern[:, top : height - top, left : width - left]


def mean_around(maps: Tensor, cells: Cells) -> Tensor:
    """Return float32 [C, 2H-1, 2W-1], the mean of maps [B, C, H, W] shifted so that their cells [B] coincide.

    A map whose cell is `ABSENT` does not count. A square of the window that no map covers is 0.
    """
    _, channels, height, width = maps.shape
    total = torch.zeros(channels, 2 * height - 1, 2 * width - 1)
    count = torch.zeros(2 * height - 1, 2 * width - 1)
    for level_map, cell in zip(maps, cells.tolist(), strict=True):
        if cell == ABSENT:
            continue
        row, column = divmod(cell, width)
        # Where this map lies in the result when its cell is in the middle.
        window = (slice(height - 1 - row, 2 * height - 1 - row), slice(width - 1 - column, 2 * width - 1 - column))
        total[(slice(None), *window)] += level_map
        count[window] += 1
    # Each square is the mean over the mazes that cover it: those of few at the corners of the window, all in its
    # middle.
    return total / count.clamp(min=1)


def _padded(pattern: Tensor, height: int, width: int) -> Tensor:
    """Return float32 [C, 2H-1, 2W-1], a pattern that reaches from any square to any other, zero beyond its sides."""
    down, across = height - 1 - pattern.shape[1] // 2, width - 1 - pattern.shape[2] // 2
    return functional.pad(pattern, (across, across, down, down))
