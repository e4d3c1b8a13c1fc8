"""`cell-table`: a table of cells learned by gradient descent until optimal actions are likely.

Two tables [H*W, ...], one added for the target's cell and one subtracted for the goal's cell, the same for all mazes.
They start at the mean differences of `cell-means`. The edit uses the two cells; in training, paths are labels.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import CellTable, fit_cell_table
from goalmaze.probes.edits.training_batch import Schedule, learn_target_and_goal
from goalmaze.probes.information import CELLS, PATH_LABELS
from goalmaze.probes.steering.base import SteeringMethod
from goalmaze.probes.steering.registry import register_method

# A batch is four times that of a pattern: each entry of a table learns only from the levels with a target on its cell.
SCHEDULE = Schedule(updates=600, batch=512, learning_rate=0.01)


@register_method
class CellTableMethod(SteeringMethod):
    """Two learned tables, with the training batches and the loss of the expert pattern."""

    name = "cell-table"
    uses: ClassVar = CELLS | {PATH_LABELS}
    needs_map: ClassVar = False

    def fit(self, context: FitContext, site: str) -> CellTable:
        """Return the trained table."""
        start = dataclasses.replace(fit_cell_table(context, site), uses=self.uses)
        return learn_target_and_goal(context, start, SCHEDULE)
