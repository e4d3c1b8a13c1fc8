"""`scaled-channels`: the table of goal cells with one learned factor for every channel of the memory.

A factor of 0 takes a channel out. The factors [C] are all that is trained. The edit uses the two cells; in training,
paths are labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.memory_table import GoalMemories, fit_memory_table
from goalmaze.probes.edits.training_batch import Schedule
from goalmaze.probes.information import CELLS, PATH_LABELS
from goalmaze.probes.rewriting.base import MemoryMethod
from goalmaze.probes.rewriting.registry import register_memory_method
from goalmaze.probes.rewriting.walks import learn_on_walks

SCHEDULE = Schedule(updates=100, batch=128, learning_rate=0.1)


@register_memory_method
class ScaledChannels(MemoryMethod):
    """A table and one factor a channel."""

    name = "scaled-channels"
    uses: ClassVar = CELLS | {PATH_LABELS}
    learned: ClassVar = True

    def fit(self, memories: GoalMemories) -> CellTable:
        """Return the table times the trained factors."""
        table = dataclasses.replace(fit_memory_table(memories), uses=self.uses)

        def build(tensors: Sequence[Tensor]) -> CellTable:
            return with_channel_factors(table, tensors[0])

        return learn_on_walks(memories, [torch.ones(table.at_target.shape[1])], build, SCHEDULE)


def with_channel_factors(table: CellTable, factors: Tensor) -> CellTable:
    """Return a table whose entries [C, ...] are multiplied by factors float32 [C]."""
    shaped = factors.reshape(-1, *[1] * (table.at_target.dim() - 2))
    return dataclasses.replace(table, at_target=table.at_target * shaped, at_goal=table.at_goal * shaped)
