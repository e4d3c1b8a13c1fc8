"""A table of cells taught by the shortest way: gradient descent until right moves are likely."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import CellTable, mean_table
from goalmaze.probes.steering.base import Method
from goalmaze.probes.training_batch import descend, draw_training_batch

UPDATES = 600
BATCH = 512
LEARNING_RATE = 0.01


class CellTableMethod(Method):
    """Two free tables, one arriving and one leaving, the same for all mazes; they start at the mean differences.

    Lessons and loss are those of the expert pattern.
    """

    name = "cell-table"
    needs_map: ClassVar = False

    def find(self, context: FitContext, site: str) -> CellTable:
        """Return the trained table."""
        start = mean_table(context, site)
        free = [start.arriving.clone().requires_grad_(), start.leaving.clone().requires_grad_()]
        choice = np.random.default_rng(context.seed)

        def table(arriving: Tensor, leaving: Tensor) -> CellTable:
            return CellTable(site, arriving, leaving, start.sides, start.rectified)

        def loss() -> Tensor:
            training_batch = draw_training_batch(context, choice, BATCH)
            return training_batch.loss([table(*free).edit(training_batch.move)])

        return table(*descend(free, loss, context.updates(UPDATES), LEARNING_RATE))
