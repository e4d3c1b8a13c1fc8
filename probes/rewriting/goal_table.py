"""`goal-table` and `goal-table-start`: a table of goal cells in closed form, see `memory_table`.

Table: [H*W, ...]. The edit adds the target's entry and subtracts that of the goal. It uses the two cells.
"""

from __future__ import annotations

from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.memory_table import GoalMemories, fit_memory_table
from goalmaze.probes.rewriting.base import MemoryMethod
from goalmaze.probes.rewriting.registry import register_memory_method


@register_memory_method
class GoalTable(MemoryMethod):
    """The memory explained by the goal's cell alone."""

    name = "goal-table"

    def fit(self, memories: GoalMemories) -> CellTable:
        """Return the table."""
        return fit_memory_table(memories, with_start=False)


@register_memory_method
class GoalTableStart(MemoryMethod):
    """The memory explained by the goal's cell and the cell that the agent starts on."""

    name = "goal-table-start"

    def fit(self, memories: GoalMemories) -> CellTable:
        """Return the table."""
        return fit_memory_table(memories, with_start=True)
