"""`patch`: the whole memory replaced by that of another maze whose goal lies on the target's cell.

One memory for each cell, of the first fitting level with its goal there; where there is none, the mean of all. The edit
uses the target's cell. It also overwrites what the agent remembers of everything else.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import EditContext
from goalmaze.probes.edits.base import Edit, check_shape
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove, level_move
from goalmaze.probes.edits.memory_table import GoalMemories
from goalmaze.probes.information import TARGET, Facts
from goalmaze.probes.rewriting.base import MemoryMethod
from goalmaze.probes.rewriting.registry import register_memory_method


@dataclasses.dataclass(frozen=True, eq=False)
class PatchByTarget(Edit):
    """Replaces the memory by the one stored for the target's cell.

    Attributes:
        stored: float32 [H*W, ...], one memory for each cell.
        move: of the goal, in the B levels of the batch.
    """

    uses: ClassVar[Facts] = frozenset({TARGET})

    stored: Tensor = dataclasses.field(kw_only=True)
    move: GoalMove = dataclasses.field(kw_only=True)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the stored memories [b, ...] of the targets."""
        check_shape(self.stored.shape[1:], activation, self.site)
        return self.stored[torch.from_numpy(level_move(self.move, context, self.site).targets).long()]


@dataclasses.dataclass(frozen=True, eq=False)
class StoredMemories(FittedSiteEdit):
    """One memory for each cell.

    Attributes:
        stored: float32 [H*W, ...].
    """

    uses: ClassVar[Facts] = frozenset({TARGET})

    stored: Tensor

    def edit(self, move: GoalMove, strength: float = 1.0) -> PatchByTarget:
        """Return the edit that moves the goal in each level."""
        return PatchByTarget(self.site, stored=self.stored, move=move, strength=strength)


@register_memory_method
class MemoryPatch(MemoryMethod):
    """The memory of another maze."""

    name = "patch"
    uses: ClassVar = frozenset({TARGET})

    def fit(self, memories: GoalMemories) -> StoredMemories:
        """Return the memories of the first fitting level for each cell."""
        height, width = memories.size
        stored = memories.activations.mean(0).repeat(height * width, *[1] * (memories.activations.dim() - 1))
        cells, first = np.unique(memories.goals, return_index=True)
        stored[torch.from_numpy(cells).long()] = memories.activations[torch.from_numpy(first)]
        return StoredMemories(memories.site, stored)
