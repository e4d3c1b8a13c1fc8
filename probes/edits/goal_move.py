"""A move of the goal: from which cell to which, in each level of a batch."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from goalmaze.agents.policies import EditContext, Rows
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.edits.base import check_rows
from goalmaze.probes.squares import check_inside


@dataclasses.dataclass(frozen=True, eq=False)
class GoalMove:
    """Where the goal is, and where an edit is to move it, in each of B levels of one size.

    Attributes:
        goals: int32 [B], the goal's cells; `ABSENT` where the level has no goal.
        targets: int32 [B], the cells to move it to.
        height: rows H of the mazes.
        width: columns W of the mazes.

    Raises:
        GoalmazeError: there is not one goal and one target a level, a cell is outside the maze, or a target is missing;
            the message names the level.

    Example:
        >>> import goalmaze as gm
        >>> levels = gm.load("zoo:green-exit").family.levels(seed=0, count=2)
        >>> gm.GoalMove.on(levels, targets=10).targets
        array([10, 10], dtype=int32)
    """

    goals: Cells
    targets: Cells
    height: int
    width: int

    def __post_init__(self) -> None:
        goals, targets = self.goals, self.targets
        if goals.shape != targets.shape:
            raise GoalmazeError(
                f"{len(goals)} goals and {len(targets)} targets do not fit: give one of each for a level"
            )
        check_inside(goals, self.height, self.width, "goal at cell")
        check_inside(targets, self.height, self.width, "target at cell")
        if (targets == ABSENT).any():
            level = int((targets == ABSENT).argmax())
            raise GoalmazeError(f"level {level}: there is no target; give a cell of the maze")

    @classmethod
    def on(cls, levels: LevelBatch, targets: ArrayLike) -> Self:
        """Return the move of each level's goal to `targets`, int [B] or one cell for all.

        Raises:
            GoalmazeError: a target is missing or outside the maze, or there is not one for each level.
        """
        cells = np.asarray(targets, np.int32)
        goals = levels.cells(levels.family.goal)
        return cls(goals, np.full(goals.shape, cells) if cells.ndim == 0 else cells, levels.height, levels.width)

    def take(self, rows: Rows) -> Self:
        """Return the move in the levels `rows`, int [b]."""
        return dataclasses.replace(self, goals=self.goals[rows], targets=self.targets[rows])

    def __len__(self) -> int:
        return len(self.goals)


def level_move(move: GoalMove, context: EditContext, site: str) -> GoalMove:
    """Return the move in the b levels of a forward pass, from that of the whole batch.

    Raises:
        GoalmazeError: the batch has fewer levels than are being played.
    """
    check_rows(len(move), context, site)
    return move.take(context.rows)
