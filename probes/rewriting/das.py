"""`das`: distributed alignment search (Geiger et al., 2024), for the subspace in which a memory holds the goal.

An orthonormal basis [F, k] is learned so that taking the k coordinates from the memory of the same maze with the goal
at the target makes the agent walk there. The edit sets these coordinates to what the table of goal cells expects for
the target. It uses the target's cell and the activation; in training, paths are labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.agents.policies import EditContext, Rows
from goalmaze.probes.edits.base import Edit, check_shape, level_values
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove, level_move
from goalmaze.probes.edits.memory import activations_along
from goalmaze.probes.edits.memory_table import GoalMemories, expected_memories, fit_memory_table
from goalmaze.probes.edits.training_batch import Schedule
from goalmaze.probes.information import ACTIVATION, EVERYTHING, PATH_LABELS, TARGET, Facts
from goalmaze.probes.rewriting.base import MemoryMethod
from goalmaze.probes.rewriting.registry import register_memory_method
from goalmaze.probes.rewriting.walks import Walks, learn_on_walks

DIMENSIONS = 8
"""Dimensions k of the subspace, fewer where the memory has fewer."""

SCHEDULE = Schedule(updates=100, batch=128, learning_rate=0.02)


def _with_coordinates(activation: Tensor, source: Tensor, basis: Tensor) -> Tensor:
    """Return activation [b, ...] whose coordinates along a basis [F, k] are those of source [b, ...]."""
    change = ((source - activation).flatten(1) @ basis) @ basis.T
    return activation + change.view_as(activation)


@dataclasses.dataclass(frozen=True, eq=False)
class TakeCoordinates(Edit):
    """An interchange intervention: takes coordinates from the memory of another run of each level.

    Attributes:
        basis: float32 [F, k], orthonormal columns.
        source: float32 [B, ...], the memory of the other run.
    """

    uses: ClassVar[Facts] = EVERYTHING

    basis: Tensor = dataclasses.field(kw_only=True)
    source: Tensor = dataclasses.field(kw_only=True)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, ...] with the coordinates of the other run."""
        return _with_coordinates(activation, level_values(self.source, activation, context, self.site), self.basis)


@dataclasses.dataclass(frozen=True, eq=False)
class SetTargetCoordinates(Edit):
    """Sets coordinates to what is expected with the goal on the target.

    Attributes:
        basis: float32 [F, k], orthonormal columns.
        expected: float32 [H*W, ...], the memory to be expected with the goal on each cell.
        move: of the goal, in the B levels of the batch.
    """

    uses: ClassVar[Facts] = frozenset({TARGET, ACTIVATION, PATH_LABELS})

    basis: Tensor = dataclasses.field(kw_only=True)
    expected: Tensor = dataclasses.field(kw_only=True)
    move: GoalMove = dataclasses.field(kw_only=True)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, ...] with the coordinates set."""
        check_shape(self.expected.shape[1:], activation, self.site)
        targets = torch.from_numpy(level_move(self.move, context, self.site).targets).long()
        return _with_coordinates(activation, self.expected[targets], self.basis)


@dataclasses.dataclass(frozen=True, eq=False)
class MemorySubspace(FittedSiteEdit):
    """A subspace of a memory, and what to expect in it.

    Attributes:
        basis: float32 [F, k], orthonormal columns.
        expected: float32 [H*W, ...], the memory to be expected with the goal on each cell.
    """

    uses: ClassVar[Facts] = SetTargetCoordinates.uses

    basis: Tensor
    expected: Tensor

    def edit(self, move: GoalMove, strength: float = 1.0) -> SetTargetCoordinates:
        """Return the edit that moves the goal in each level."""
        return SetTargetCoordinates(self.site, basis=self.basis, expected=self.expected, move=move, strength=strength)


@register_memory_method
class MemoryDAS(MemoryMethod):
    """A few learned coordinates of the memory, set to those of the target."""

    name = "das"
    uses: ClassVar = SetTargetCoordinates.uses
    learned: ClassVar = True

    def fit(self, memories: GoalMemories) -> MemorySubspace:
        """Search the subspace on the fitting levels."""
        expected = expected_memories(memories, fit_memory_table(memories))
        width = expected[0].numel()
        generator = torch.Generator().manual_seed(memories.context.seed)
        free = torch.randn(width, min(DIMENSIONS, width), generator=generator)

        def build(tensors: Sequence[Tensor]) -> MemorySubspace:
            # The orthonormal basis is the Q of a free matrix: every step stays on the manifold without a constraint.
            return MemorySubspace(memories.site, torch.linalg.qr(tensors[0]).Q, expected)

        context = memories.context
        walks = Walks.drawn(context, memories.after)
        moved = walks.levels.with_goal_and_cue_at(walks.move.targets)
        # cloned, because an inference tensor cannot take part in a differentiable computation
        source = activations_along(context.policy, moved, memories.site, memories.after, walks.actions).clone()

        def interchange(fitted: MemorySubspace, rows: Rows) -> list[Edit]:
            return [TakeCoordinates(fitted.site, basis=fitted.basis, source=source[torch.from_numpy(rows)])]

        return learn_on_walks(memories, [free], build, SCHEDULE, walks=walks, edits_of=interchange)
