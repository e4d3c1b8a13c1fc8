"""LEACE, then a write: "goal here" is erased from all squares, and what was erased is written at the target."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Add, Edit
from goalmaze.probes.edits.composition import SequentialEdits
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.leace import Erase, Eraser, fit_eraser
from goalmaze.probes.edits.patterns import is_rectified, spread
from goalmaze.probes.information import CELLS, Knowledge
from goalmaze.probes.squares import marked
from goalmaze.probes.steering.base import Method


@dataclasses.dataclass(frozen=True, eq=False)
class ErasedGoal:
    """An eraser, and what a goal's square has more of than others in what it erases.

    Attributes:
        site: where.
        eraser: of "goal here", fitted to squares.
        written: float32 [C].
        rectified: whether the site never holds negative values.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
    eraser: Eraser
    written: Tensor
    rectified: bool

    def edit(self, move: GoalMove, strength: float = 1.0) -> Edit:
        """Return the erasure followed by the write at the targets."""
        delta = spread(self.written[:, None, None], move.targets, move.height, move.width)
        erase = Erase(self.site, eraser=self.eraser, rectified=self.rectified, strength=strength)
        return SequentialEdits((erase, Add(self.site, delta, strength, self.rectified, self.uses)))


class EraseAndWrite(Method):
    """The least-squares eraser of "the goal is on this square" (Belrose et al., 2023), and its difference of means."""

    name = "erase-and-write"

    def find(self, context: FitContext, site: str) -> ErasedGoal:
        """Fit the eraser to all squares of the workshop's levels."""
        maps = context.read(context.levels, site)
        squares = maps.permute(0, 2, 3, 1).flatten(0, 2)
        here = marked(context.goals, *maps.shape[2:]).flatten()
        eraser = fit_eraser(squares, here.float())
        apart = squares[here].mean(dim=0) - squares[~here].mean(dim=0)
        return ErasedGoal(site, eraser, eraser.removal @ apart, is_rectified(maps))
