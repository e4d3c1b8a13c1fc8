"""`learned-goal-table`: a table of goal cells trained by gradient descent until the agent walks to its targets.

Two tables [H*W, ...], one added for the target's cell and one subtracted for the goal's cell. They start at
`goal-table-start`. The edit uses the two cells; in training, paths are labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.memory_table import GoalMemories, fit_memory_table
from goalmaze.probes.edits.training_batch import Schedule
from goalmaze.probes.information import CELLS, PATH_LABELS
from goalmaze.probes.rewriting.base import MemoryMethod
from goalmaze.probes.rewriting.registry import register_memory_method
from goalmaze.probes.rewriting.walks import learn_on_walks

SCHEDULE = Schedule(updates=100, batch=128, learning_rate=0.02)


@register_memory_method
class LearnedGoalTable(MemoryMethod):
    """Two learned tables."""

    name = "learned-goal-table"
    uses: ClassVar = CELLS | {PATH_LABELS}
    learned: ClassVar = True

    def fit(self, memories: GoalMemories) -> CellTable:
        """Return the trained table."""
        start = dataclasses.replace(fit_memory_table(memories), uses=self.uses)

        def build(tensors: Sequence[Tensor]) -> CellTable:
            return dataclasses.replace(start, at_target=tensors[0], at_goal=tensors[1])

        return learn_on_walks(memories, [start.at_target, start.at_goal], build, SCHEDULE)
