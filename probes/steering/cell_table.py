"""`cell-table`: a table of cells learned by gradient descent until optimal actions are likely.

Two tables [H*W, ...], one added for the target's cell and one subtracted for the goal's cell, the same for all mazes.
They start at the mean differences of `cell-means`. The edit uses the two cells; in training, paths are labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import CellTable, fit_cell_table
from goalmaze.probes.edits.training_batch import learn_from_optimal_actions
from goalmaze.probes.information import CELLS, PATH_LABELS
from goalmaze.probes.steering.base import SteeringMethod
from goalmaze.probes.steering.registry import register_method

UPDATES = 600
BATCH = 512
LEARNING_RATE = 0.01


@register_method
class CellTableMethod(SteeringMethod):
    """Two learned tables, with the training batches and the loss of the expert pattern."""

    name = "cell-table"
    uses: ClassVar = CELLS | {PATH_LABELS}
    needs_map: ClassVar = False

    def fit(self, context: FitContext, site: str) -> CellTable:
        """Return the trained table."""
        start = dataclasses.replace(fit_cell_table(context, site), uses=self.uses)
        parameters = [start.at_target.clone().requires_grad_(), start.at_goal.clone().requires_grad_()]

        def fitted(tensors: Sequence[Tensor]) -> list[CellTable]:
            return [dataclasses.replace(start, at_target=tensors[0], at_goal=tensors[1])]

        trained = learn_from_optimal_actions(
            context, parameters, fitted, size=BATCH, updates=UPDATES, learning_rate=LEARNING_RATE
        )
        return fitted(trained)[0]
