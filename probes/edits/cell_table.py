"""Tables: what a goal on each cell adds to a site, whatever the site holds; for sites that are no maps of squares."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Rewrite, check_channels
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import is_rectified
from goalmaze.probes.information import CELLS, Knowledge
from goalmaze.probes.squares import cells_of
from goalmaze.probes.targets import draw_targets

PLACES = 8
"""Cells of each maze on which the goal is seen; one of them is its own."""

RIDGE = 0.1
"""How many pairs it takes to outweigh the guess that a cell adds what its row and its column add."""

FREELY = 1e-3
"""How much less rows and columns are held back than single cells: what they can explain they do."""

BATCH = 256


@dataclasses.dataclass(frozen=True, eq=False)
class WriteCells(Rewrite):
    """Adds what belongs to the target's cell and takes away what belongs to the old goal's, the same in all mazes.

    Attributes:
        arriving: float32 [H*W, ...], one entry a cell.
        leaving: float32 [H*W, ...].
        goals: int32 [B], `ABSENT` where there is none and nothing leaves.
        targets: int32 [B].
        rectified: whether the site never holds negative values; the edited one then neither.
    """

    arriving: Tensor = dataclasses.field(kw_only=True)
    leaving: Tensor = dataclasses.field(kw_only=True)
    goals: Cells = dataclasses.field(kw_only=True)
    targets: Cells = dataclasses.field(kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """Goal and target."""
        return CELLS

    def check(self, site: Site) -> None:
        """Refuse a site with other channels."""
        check_channels(site, self.arriving.shape[1])

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, ...] + strength * (the target's entry - the goal's)."""
        return activation if self.strength == 0 else self.changed(activation, rows)

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, ...] + strength * (the target's entry - the goal's)."""
        if activation.shape[1:] != self.arriving.shape[1:]:
            raise GoalmazeError(
                f"edit at site '{self.site}' has shape {tuple(self.arriving.shape[1:])}, the activation of a level "
                f"{tuple(activation.shape[1:])}; make it for this network and maze size"
            )
        goals, targets = cells_of(self.goals, rows, self.site), cells_of(self.targets, rows, self.site)
        standing = torch.from_numpy(goals != ABSENT).reshape(-1, *[1] * (activation.dim() - 1))
        gone = self.leaving[torch.from_numpy(goals).long().clamp(min=0)] * standing
        result = activation + self.strength * (self.arriving[torch.from_numpy(targets).long()] - gone)
        return result.relu() if self.rectified else result


@dataclasses.dataclass(frozen=True, eq=False)
class CellTable:
    """What a site holds more when the goal comes to each cell, and what less when it leaves it.

    It knows no maze: an edit made from it knows the old and the new cell, not the walls, the agent or the way.

    Attributes:
        site: where it was found.
        arriving: float32 [H*W, ...], added for the target's cell.
        leaving: float32 [H*W, ...], taken away for the old goal's.
        sides: H and W of the mazes it was found in; in others a cell is another place.
        rectified: whether the site never holds negative values, so that edits must not either.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
    arriving: Tensor
    leaving: Tensor
    sides: tuple[int, int]
    rectified: bool

    def edit(self, move: GoalMove, strength: float = 1.0) -> WriteCells:
        """Return the edit that moves the goal in each level.

        Raises:
            GoalmazeError: the mazes have other sides.
        """
        if (move.height, move.width) != self.sides:
            raise GoalmazeError(
                f"the table of cells at site '{self.site}' is for mazes of {'x'.join(map(str, self.sides))}, these are "
                f"{move.height}x{move.width}; find it at this size, or choose a method for maps of squares"
            )
        return WriteCells(
            self.site,
            arriving=self.arriving,
            leaving=self.leaving,
            goals=move.goals,
            targets=move.targets,
            rectified=self.rectified,
            strength=strength,
        )


def mean_table(context: FitContext, site: str) -> CellTable:
    """Return the table of mean differences that goal and cue make on each cell, by ridge regression.

    Each maze of the workshop is seen without goal and cue and with both on some of its free cells. A difference is
    explained by the goal's row, its column and its cell, so that a cell on which no goal was seen has an entry too.
    """
    # in double precision: what little holds rows and columns back would drown in the rounding of sums
    design = cell_design(context.levels.height, context.levels.width).double()
    count = design.shape[1]
    gram, moment, rectified, shape = torch.zeros(count, count).double(), torch.zeros(0), True, torch.Size()
    for cells, differences, never_negative in _pairs(context, site):
        rows, shape = design[torch.from_numpy(cells).long()], differences.shape[1:]
        seen = rows.T @ differences.flatten(1).double()
        gram, moment = gram + rows.T @ rows, seen + moment if len(moment) else seen
        rectified = rectified and never_negative
    sides = context.levels.height + context.levels.width
    penalty = torch.full((count,), RIDGE).double()
    penalty[:sides] *= FREELY
    table = (design @ torch.linalg.solve(gram + penalty.diag(), moment)).float().reshape(-1, *shape)
    return CellTable(site, table, table, (context.levels.height, context.levels.width), rectified)


def cell_design(height: int, width: int) -> Tensor:
    """Return float32 [H*W, H + W + H*W]: for each cell, ones for its row, its column and itself."""
    rows, columns = torch.arange(height * width) // width, torch.arange(height * width) % width
    return torch.cat([torch.eye(height)[rows], torch.eye(width)[columns], torch.eye(height * width)], dim=1)


def goal_cells(context: FitContext) -> Iterator[tuple[FitContext, list[Cells]]]:
    """Yield parts of a workshop, each with lists of cells [b] on which its mazes are seen with goal and cue."""
    luck = np.random.default_rng(context.seed)
    for part in np.array_split(np.arange(len(context.levels)), -(-len(context.levels) // BATCH)):
        some = dataclasses.replace(context, levels=context.levels.take(part))
        drawn = [draw_targets(some.levels, int(luck.integers(2**31))) for _ in range(PLACES - 1)]
        yield some, [some.goals, *drawn]


def _pairs(context: FitContext, site: str) -> Iterator[tuple[Cells, Tensor, bool]]:
    """Yield cells [n], the differences [n, ...] that a goal on them makes, and whether none of the values < 0."""
    for some, places in goal_cells(context):
        absent = context.read(some.levels.without_goal_and_cue(), site)
        for cells in places:
            standing = cells != ABSENT
            present = context.read(some.levels.with_goal_and_cue_at(cells), site)
            yield cells[standing], (present - absent)[torch.from_numpy(standing)], is_rectified(present)
