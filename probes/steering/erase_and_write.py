"""`erase-and-write`: LEACE (Belrose et al., 2023) erases the goal from all squares, then it is written at the target.

The concept is "the goal is on this square". What is written is the mean difference between goal squares and others,
projected onto the erased subspace [C]. Closed form. The edit uses the target's cell and the activation.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from goalmaze.probes.activations import is_rectified
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Add
from goalmaze.probes.edits.composition import SequentialEdits
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.leace import Erase, Eraser, fit_eraser
from goalmaze.probes.edits.patterns import place_pattern
from goalmaze.probes.information import ACTIVATION, CELLS, Facts
from goalmaze.probes.squares import cell_mask
from goalmaze.probes.steering.base import ActivationMethod
from goalmaze.probes.steering.registry import register_method


@dataclasses.dataclass(frozen=True, eq=False)
class ErasedGoal(FittedSiteEdit):
    """An eraser of the goal, and the vector that writes it.

    Attributes:
        eraser: of "the goal is on this square", fitted to squares.
        vector: float32 [C], written on the target's square.
        rectified: whether the site is never negative, as after a ReLU.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION}

    eraser: Eraser
    vector: Tensor
    rectified: bool

    def edit(self, move: GoalMove, strength: float = 1.0) -> SequentialEdits:
        """Return the erasure followed by the write on the targets' squares."""
        delta = place_pattern(self.vector[:, None, None], move.targets, move.height, move.width)
        erase = Erase(self.site, eraser=self.eraser, rectified=self.rectified, strength=strength)
        write = Add(self.site, delta, rectified=self.rectified, uses=CELLS, strength=strength)
        return SequentialEdits((erase, write))


@register_method
class EraseAndWriteMethod(ActivationMethod):
    """The least-squares eraser of "the goal is on this square", and its difference of means."""

    name = "erase-and-write"

    def fit(self, context: FitContext, site: str) -> ErasedGoal:
        """Fit the eraser to all squares of the fitting levels."""
        maps = context.activations(context.levels, site)
        squares = maps.permute(0, 2, 3, 1).flatten(0, 2)
        has_goal = cell_mask(context.goals, *maps.shape[2:]).flatten()
        eraser = fit_eraser(squares, has_goal.float())
        difference = squares[has_goal].mean(dim=0) - squares[~has_goal].mean(dim=0)
        # Only the erased part of the difference is written: the rest of it is still there.
        return ErasedGoal(site, eraser, eraser.projection @ difference, is_rectified(maps))
