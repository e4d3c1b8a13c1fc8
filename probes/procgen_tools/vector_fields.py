"""Vector fields: a policy's action probabilities on every free cell of a level (`vfield.vector_field` there)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.policies import NetworkPolicy, Probabilities
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.actions import MOVES
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.objects import AGENT
from goalmaze.probes.edits.base import Edit, applied


@dataclasses.dataclass(frozen=True, eq=False)
class VectorField:
    """A policy on every free cell of one level.

    Attributes:
        level: the level, a batch of one.
        cells: int32 [N], where the agent stands.
        probabilities: float32 [N, 4], of moving up, right, down and left there.
    """

    level: LevelBatch
    cells: Cells
    probabilities: Probabilities

    @property
    def arrows(self) -> NDArray[np.float32]:
        """float32 [N, 2], the expected move on each cell, in rows (down) and columns (to the right)."""
        expected: NDArray[np.float32] = self.probabilities @ MOVES.astype(np.float32)
        return expected

    def at(self, cell: int) -> Probabilities:
        """Return float32 [4], the probabilities on one cell.

        Raises:
            GoalmazeError: the agent cannot stand there.
        """
        found = np.flatnonzero(self.cells == cell)
        if not len(found):
            raise GoalmazeError(f"the field has no arrow at cell {cell}: choose a free one without an object")
        probabilities: Probabilities = self.probabilities[found[0]]
        return probabilities


def vector_field(policy: NetworkPolicy, level: LevelBatch, edits: Sequence[Edit] = ()) -> VectorField:
    """Return a policy's action probabilities on every free cell of one level on which no object stands.

    Args:
        policy: the policy; one with a memory is evaluated as before its first step.
        level: a batch of one.
        edits: applied meanwhile, made for this one level.

    Raises:
        GoalmazeError: the batch holds more than one level, or an edit does not fit.
    """
    splayed = level.splayed(AGENT)
    # Every row is level 0, so that an edit made for this one level applies on every cell.
    observations, same_level = observations_of(policy, splayed), np.zeros(len(splayed), np.intp)
    with applied(policy, edits):
        probabilities = policy.probabilities(same_level, observations, splayed.start)
    return VectorField(level, splayed.start, probabilities)


def field_change(before: VectorField, after: VectorField) -> NDArray[np.float32]:
    """Return float32 [N, 2], the arrows of one field minus those of another (`patch_utils.compare_patched_vfields`).

    Raises:
        GoalmazeError: the fields have different cells.
    """
    if not np.array_equal(before.cells, after.cells):
        raise GoalmazeError("the two fields are of different cells: make both on one level, moving nothing")
    return after.arrows - before.arrows
