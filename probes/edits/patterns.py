"""Directions: what stands for "the goal is here" in a map, as a pattern around the goal's square."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.probes.edits.base import Add, Edit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import CELLS, Knowledge


class FittedEdit(Protocol):
    """What a method found at a site: it makes the edit that moves the goal from one cell to another, in any maze."""

    @property
    def site(self) -> str:
        """Where it was found."""

    @property
    def uses(self) -> Knowledge:
        """What its edits know."""

    def edit(self, move: GoalMove, strength: float = 1.0) -> Edit:
        """Return the edit that moves the goal in each level."""


@dataclasses.dataclass(frozen=True, eq=False)
class GoalPattern:
    """How a site changes, around a square, when the goal comes to that square, and when it leaves.

    It knows no maze: an edit made from it knows the old and the new cell, not the walls, the agent or the way.

    Attributes:
        site: the map it was found in.
        arriving: float32 [C, h, w] with h and w odd, added around the target; its middle is the target's square.
        leaving: float32 [C, h, w], subtracted around the old goal.
        rectified: whether the site never holds negative values, so that edits must not either.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
    arriving: Tensor
    leaving: Tensor
    rectified: bool

    def edit(self, move: GoalMove, strength: float = 1.0) -> Add:
        """Return the edit that moves the goal in each level; where a goal is `ABSENT` nothing is subtracted."""
        height, width = move.height, move.width
        delta = spread(self.arriving, move.targets, height, width) - spread(self.leaving, move.goals, height, width)
        return Add(self.site, delta, strength, self.rectified, self.uses)


def is_rectified(maps: Tensor) -> bool:
    """Return whether none of the values seen at a site is negative, as after a ReLU."""
    return bool((maps >= 0).all())


def spread(pattern: Tensor, cells: Cells, height: int, width: int) -> Tensor:
    """Return float32 [B, C, H, W], a pattern [C, h, w] laid with its middle on each cell [B], cut at the border.

    Nothing is laid where a cell is `ABSENT`.
    """
    rows, columns = np.divmod(np.maximum(cells, 0), width)
    reach = _reaching(pattern, height, width).unfold(1, height, 1).unfold(2, width, 1)
    laid = reach[:, torch.from_numpy(height - 1 - rows), torch.from_numpy(width - 1 - columns)].transpose(0, 1)
    if (cells == ABSENT).any():
        laid = laid * torch.from_numpy(cells != ABSENT)[:, None, None, None]
    return laid


def gather(maps: Tensor, cells: Cells) -> Tensor:
    """Return float32 [C, 2H-1, 2W-1], the mean of maps [B, C, H, W] laid over each other at their cells [B].

    A map whose cell is `ABSENT` does not count. A square of the window that no map covers is 0.
    """
    _, channels, height, width = maps.shape
    total = torch.zeros(channels, 2 * height - 1, 2 * width - 1)
    count = torch.zeros(2 * height - 1, 2 * width - 1)
    for one, cell in zip(maps, cells.tolist(), strict=True):
        if cell == ABSENT:
            continue
        row, column = divmod(cell, width)
        window = (slice(height - 1 - row, 2 * height - 1 - row), slice(width - 1 - column, 2 * width - 1 - column))
        total[(slice(None), *window)] += one
        count[window] += 1
    return total / count.clamp(min=1)


def _reaching(pattern: Tensor, height: int, width: int) -> Tensor:
    """Return a pattern [C, 2H-1, 2W-1] that reaches from any square to any other; zero where it had nothing."""
    down, across = height - 1 - pattern.shape[1] // 2, width - 1 - pattern.shape[2] // 2
    return functional.pad(pattern, (across, across, down, down))
