"""Cell tables: what a goal on each cell adds to a site, in every maze; for sites that are not maps of squares."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.activations import is_rectified
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import AdditiveEdit, check_channels, check_shape
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove, level_move
from goalmaze.probes.information import CELLS, Facts
from goalmaze.probes.targets import draw_targets

PLACEMENTS = 8
"""Cells of each maze on which the goal is placed; one of them is its own."""

RIDGE = 0.1
"""Ridge penalty on the entry of a single cell, in units of observations.

A single observation of a goal on a cell counts ten times as much as what its row and column predict. A cell that was
never observed gets the prediction alone.
"""

ROW_COLUMN_RIDGE = 1e-3
"""Factor on the penalty of rows and columns. Much less penalised, they explain all they can before single cells do."""

BATCH = 256


@dataclasses.dataclass(frozen=True, eq=False)
class AddCellEntries(AdditiveEdit):
    """Adds the entry of the target's cell and subtracts that of the goal's cell.

    Attributes:
        at_target: float32 [H*W, ...], one entry a cell, for the target.
        at_goal: float32 [H*W, ...], one entry a cell, for the goal; nothing is subtracted where the goal is `ABSENT`.
        move: of the goal, in the B levels of the batch.
        uses: the facts that the edit was given.
    """

    at_target: Tensor = dataclasses.field(kw_only=True)
    at_goal: Tensor = dataclasses.field(kw_only=True)
    move: GoalMove = dataclasses.field(kw_only=True)
    uses: Facts = dataclasses.field(default=CELLS, kw_only=True)

    def check(self, site: Site) -> None:
        """Refuse a site with another number of channels."""
        check_channels(site, self.at_target.shape[1])

    def addition(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return [b, ...], the entries of the targets minus those of the goals."""
        check_shape(self.at_target.shape[1:], activation, self.site)
        move = level_move(self.move, context, self.site)
        # One number a level, broadcast over maps and features alike.
        has_goal = torch.from_numpy(move.goals != ABSENT).reshape(-1, *[1] * (activation.dim() - 1))
        subtracted = self.at_goal[torch.from_numpy(move.goals).long().clamp(min=0)] * has_goal
        return self.at_target[torch.from_numpy(move.targets).long()] - subtracted


@dataclasses.dataclass(frozen=True, eq=False)
class CellTable(FittedSiteEdit):
    """What a site gets added for a target on each cell, and subtracted for a goal on each cell.

    Attributes:
        at_target: float32 [H*W, ...], added for the target's cell.
        at_goal: float32 [H*W, ...], subtracted for the goal's cell.
        height: rows H of the mazes that it was fitted in; it fits no others.
        width: columns W of these mazes.
        rectified: whether the site is never negative, as after a ReLU; the result is then clipped at 0.
        uses: the facts that its edits are given.
    """

    at_target: Tensor
    at_goal: Tensor
    height: int
    width: int
    rectified: bool
    uses: Facts = CELLS

    def edit(self, move: GoalMove, strength: float = 1.0) -> AddCellEntries:
        """Return the edit that moves the goal in each level.

        Raises:
            GoalmazeError: the mazes have another size than those of the table.
        """
        if (move.height, move.width) != (self.height, self.width):
            raise GoalmazeError(
                f"the cell table at site '{self.site}' is for mazes of {self.height}x{self.width}, these are "
                f"{move.height}x{move.width}; fit it at this size, or choose a method for maps of squares"
            )
        return AddCellEntries(
            self.site,
            at_target=self.at_target,
            at_goal=self.at_goal,
            move=move,
            uses=self.uses,
            rectified=self.rectified,
            strength=strength,
        )


def fit_cell_table(context: FitContext, site: str) -> CellTable:
    """Return the table of mean differences that goal and cue make on each cell, by ridge regression.

    Each fitting level is run without goal and cue, and with both on some of its free cells. The difference is
    explained by the goal's row, its column and its cell, so that a cell on which no goal was placed has an entry too.
    """
    height, width = context.levels.height, context.levels.width
    # In double precision: the small penalty on rows and columns would be lost in the rounding of the sums.
    design = cell_design(height, width).double()
    count = design.shape[1]
    gram, moment, rectified, shape = torch.zeros(count, count).double(), torch.zeros(0), True, torch.Size()
    for cells, differences, no_negatives in _goal_differences(context, site):
        rows, shape = design[torch.from_numpy(cells).long()], differences.shape[1:]
        product = rows.T @ differences.flatten(1).double()
        gram, moment = gram + rows.T @ rows, product + moment if len(moment) else product
        # A site is rectified only if no part of the levels has a negative value.
        rectified = rectified and no_negatives
    penalty = torch.full((count,), RIDGE).double()
    # The first columns of the design are those of rows and columns, see `cell_design`.
    penalty[: height + width] *= ROW_COLUMN_RIDGE
    table = (design @ torch.linalg.solve(gram + penalty.diag(), moment)).float().reshape(-1, *shape)
    # One table for both: what a goal adds on its cell is what the target needs and what the old goal's cell must lose.
    return CellTable(site, table, table, height, width, rectified)


def cell_design(height: int, width: int) -> Tensor:
    """Return float32 [H*W, H + W + H*W]: for each cell, ones for its row, its column and itself."""
    rows, columns = torch.arange(height * width) // width, torch.arange(height * width) % width
    return torch.cat([torch.eye(height)[rows], torch.eye(width)[columns], torch.eye(height * width)], dim=1)


def goal_placements(context: FitContext) -> Iterator[tuple[FitContext, list[Cells]]]:
    """Yield parts of a fit context, each with `PLACEMENTS` lists of cells [b] to place goal and cue on."""
    rng = np.random.default_rng(context.seed)
    # Ceiling division gives parts of at most `BATCH` levels, which bounds the memory of their placements.
    for part in np.array_split(np.arange(len(context.levels)), -(-len(context.levels) // BATCH)):
        some = dataclasses.replace(context, levels=context.levels.take(part))
        drawn = [draw_targets(some.levels, int(rng.integers(2**31))) for _ in range(PLACEMENTS - 1)]
        yield some, [some.goals, *drawn]


def _goal_differences(context: FitContext, site: str) -> Iterator[tuple[Cells, Tensor, bool]]:
    """Yield cells [n], the differences [n, ...] that a goal on them makes, and whether no value was negative."""
    for some, placements in goal_placements(context):
        absent = some.activations(some.levels.without_goal_and_cue(), site)
        for cells in placements:
            has_goal = cells != ABSENT
            present = some.activations(some.levels.with_goal_and_cue_at(cells), site)
            yield cells[has_goal], (present - absent)[torch.from_numpy(has_goal)], is_rectified(present)
