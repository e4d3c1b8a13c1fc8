"""`erase-and-write`: LEACE (Belrose et al., 2023) erases the goal's cell from the memory, then the target is written.

The concept is the goal's row, column and cell. What is written is what the table of goal cells expects for the target.
Closed form. The edit uses the target's cell and the activation, and not the goal's cell.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.agents.policies import EditContext
from goalmaze.probes.edits.base import Edit, check_shape
from goalmaze.probes.edits.cell_table import cell_design
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove, level_move
from goalmaze.probes.edits.leace import Eraser, fit_eraser
from goalmaze.probes.edits.memory_table import GoalMemories, expected_memories, fit_memory_table
from goalmaze.probes.information import ACTIVATION, TARGET, Facts
from goalmaze.probes.rewriting.base import MemoryMethod
from goalmaze.probes.rewriting.registry import register_memory_method


@dataclasses.dataclass(frozen=True, eq=False)
class WriteErased(Edit):
    """Erases the goal's cell and writes that of the target.

    Attributes:
        eraser: of the goal's cell, fitted to flat activations.
        expected: float32 [H*W, ...], the memory to be expected with the goal on each cell.
        move: of the goal, in the B levels of the batch.
    """

    uses: ClassVar[Facts] = frozenset({TARGET, ACTIVATION})

    eraser: Eraser = dataclasses.field(kw_only=True)
    expected: Tensor = dataclasses.field(kw_only=True)
    move: GoalMove = dataclasses.field(kw_only=True)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, ...] with the target in place of the goal."""
        check_shape(self.expected.shape[1:], activation, self.site)
        targets = torch.from_numpy(level_move(self.move, context, self.site).targets).long()
        # The eraser maps every activation to one whose expectation is the mean, whatever the goal's cell.
        written = self.expected[targets].flatten(1) - self.eraser.mean
        return (self.eraser(activation.flatten(1)) + written).view_as(activation)


@dataclasses.dataclass(frozen=True, eq=False)
class ErasedMemory(FittedSiteEdit):
    """An eraser of the goal's cell, and what to write for a target.

    Attributes:
        eraser: fitted to flat activations of the site.
        expected: float32 [H*W, ...], the memory to be expected with the goal on each cell.
    """

    uses: ClassVar[Facts] = frozenset({TARGET, ACTIVATION})

    eraser: Eraser
    expected: Tensor

    def edit(self, move: GoalMove, strength: float = 1.0) -> WriteErased:
        """Return the edit that moves the goal in each level."""
        return WriteErased(self.site, eraser=self.eraser, expected=self.expected, move=move, strength=strength)


@register_memory_method
class EraseAndWrite(MemoryMethod):
    """The goal's cell erased from the memory, and the target's cell written."""

    name = "erase-and-write"
    uses: ClassVar = frozenset({TARGET, ACTIVATION})

    def fit(self, memories: GoalMemories) -> ErasedMemory:
        """Return eraser and entries."""
        concept = cell_design(*memories.size)[torch.from_numpy(memories.goals).long()]
        eraser = fit_eraser(memories.activations.flatten(1), concept)
        expected = expected_memories(memories, fit_memory_table(memories))
        return ErasedMemory(memories.site, eraser, expected)
