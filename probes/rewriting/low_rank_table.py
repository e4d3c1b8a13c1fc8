"""`low-rank-table`: the table of goal cells within the few directions of the memory in which it varies most.

The directions are the first principal axes of the entries of the goals' cells; as many as explain 0.9 of their
variance. Closed form. The edit uses the two cells.
"""

from __future__ import annotations

import dataclasses

import torch

from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.memory_table import GoalMemories, fit_memory_table
from goalmaze.probes.rewriting.base import MemoryMethod
from goalmaze.probes.rewriting.registry import register_memory_method

EXPLAINED = 0.9
"""Fraction of the variance of the entries that the directions explain."""


@register_memory_method
class LowRankTable(MemoryMethod):
    """A table of low rank."""

    name = "low-rank-table"

    def fit(self, memories: GoalMemories) -> CellTable:
        """Return the table, projected onto its first principal axes."""
        table = fit_memory_table(memories, with_start=True)
        entries = table.at_target.flatten(1)
        # Over the samples, not over cells: a wall's cell, on which no goal ever lay, does not count.
        samples = entries[torch.from_numpy(memories.goals).long()]
        mean = samples.mean(0)
        _, singular, axes = torch.linalg.svd(samples - mean, full_matrices=False)
        explained = singular.square().cumsum(0) / singular.square().sum().clamp(min=1e-30)
        rank = int((explained < EXPLAINED).sum()) + 1
        narrow = (mean + (entries - mean) @ axes[:rank].T @ axes[:rank]).view_as(table.at_target)
        return dataclasses.replace(table, at_target=narrow, at_goal=narrow)
