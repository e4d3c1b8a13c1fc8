"""Exact outcomes of a policy without memory: which of two cells it reaches first, without sampling an action.

The policy on all cells of a level is a Markov chain. Its power to the time limit holds the probability of every
outcome, so that no noise of sampled actions is left in a measurement.

Axes: B levels, N cells, n free cells of a level (padded to the largest number), A moves.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.networks.base import RecurrentNetwork
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.procgen_tools.path_probability import probabilities_on

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class CellPolicy:
    """The action probabilities of a policy on every free cell of B levels on which no object of interest stands.

    Attributes:
        levels: the levels.
        cells: bool [B, N], where the policy is known.
        probabilities: float64 [B, N, A], zero elsewhere.
    """

    levels: LevelBatch
    cells: Bools
    probabilities: Floats

    def first_reached(self, *targets: Cells) -> Floats:
        """Return float64 [B, k], the probability that each of k cells is reached first, within the time limit.

        Args:
            targets: k arrays int32 [B] of cells; an episode counts as ended on each of them.
        """
        index, matrix = self._chain
        rows = np.arange(len(self.levels))
        absorbing = np.stack([index[rows, cells] for cells in targets], axis=1)
        chain = matrix.copy()
        for column in absorbing.T:
            chain[rows, column] = 0.0
            chain[rows, column, column] = 1.0
        # A chain that has taken as many steps as an episode may have: the last row index is the start.
        reached = np.linalg.matrix_power(chain, self.levels.family.time_limit)
        start = index[rows, self.levels.start]
        return np.asarray(reached[rows[:, None], start[:, None], absorbing])

    def discounted_arrival(self, targets: Cells, discount: float) -> Floats:
        """Return float64 [B], the expected discount to the power of the steps until a cell is reached, without a limit.

        Args:
            targets: int32 [B], the cells.
            discount: for each step, below 1.
        """
        index, matrix = self._chain
        rows = np.arange(len(self.levels))
        target = index[rows, targets]
        chain = matrix.copy()
        chain[rows, target] = 0.0
        # v = discount * P v with v = 1 on the target, where P has no row.
        ends = np.zeros(chain.shape[:2])
        ends[rows, target] = 1.0
        values = np.linalg.solve(np.eye(chain.shape[1]) - discount * chain, ends[..., None])[..., 0]
        return np.asarray(values[rows, index[rows, self.levels.start]])

    @cached_property
    def _chain(self) -> tuple[NDArray[np.intp], Floats]:
        """The number int [B, N] of each free cell in its level, and the transitions float64 [B, n, n] between them."""
        free = self.levels.free()
        index = np.where(free, np.cumsum(free, axis=1) - 1, 0).astype(np.intp)
        size = int(free.sum(axis=1).max())
        matrix = np.zeros((len(free), size, size))
        b, cell = np.nonzero(self.cells)
        for action, offset in enumerate(cell_steps(self.levels.width)):
            # A move into a wall leaves the agent where it is.
            after = np.where(free[b, cell + offset], cell + offset, cell)
            np.add.at(matrix, (b, index[b, cell], index[b, after]), self.probabilities[b, cell, action])
        return index, matrix


def cell_policy(policy: NetworkPolicy, levels: LevelBatch, *without: Cells) -> CellPolicy:
    """Return a policy on all free cells of B levels but those of `without`, arrays int32 [B].

    Raises:
        GoalmazeError: the network has a memory, so that its actions depend on more than its cell.
    """
    if isinstance(policy.network, RecurrentNetwork):
        raise GoalmazeError("goal formation is measured on networks without memory: train grid or impala")
    cells = levels.free().copy()
    rows = np.arange(len(levels))
    for one in without:
        present = one != ABSENT
        cells[rows[present], one[present]] = False
    steps = np.zeros(cells.shape, np.int32)
    return CellPolicy(levels, cells, probabilities_on(policy, levels, cells, steps))
