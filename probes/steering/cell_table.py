"""A table of cells taught by the shortest way: gradient descent until right moves are likely."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from goalmaze.probes.context import Workshop
from goalmaze.probes.edits.cell_table import CellTable, mean_table
from goalmaze.probes.steering.base import Method
from goalmaze.probes.training_batch import descend, draw_lesson

UPDATES = 600
BATCH = 512
LEARNING_RATE = 0.01


class CellTableMethod(Method):
    """Two free tables, one arriving and one leaving, the same for all mazes; they start at the mean differences.

    Lessons and loss are those of the expert pattern.
    """

    name = "cell-table"
    needs_map: ClassVar = False

    def find(self, workshop: Workshop, site: str) -> CellTable:
        """Return the trained table."""
        start = mean_table(workshop, site)
        free = [start.arriving.clone().requires_grad_(), start.leaving.clone().requires_grad_()]
        choice = np.random.default_rng(workshop.seed)

        def table(arriving: Tensor, leaving: Tensor) -> CellTable:
            return CellTable(site, arriving, leaving, start.sides, start.rectified)

        def loss() -> Tensor:
            lesson = draw_lesson(workshop, choice, BATCH)
            return lesson.loss([table(*free).edit(lesson.goals, lesson.targets, *start.sides)])

        return table(*descend(free, loss, workshop.updates(UPDATES), LEARNING_RATE))
