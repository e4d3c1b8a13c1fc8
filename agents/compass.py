"""A scripted baseline that knows in which direction a cell lies and sees no walls."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.policies import Probabilities, Rows
from goalmaze.envs.cells import Cells
from goalmaze.envs.engines import Observations
from goalmaze.envs.levels import LevelBatch


@dataclasses.dataclass(frozen=True, eq=False)
class CompassActor:
    """Takes moves towards its target more often than others.

    Attributes:
        targets: int32 [B], a cell of each level.
        width: columns of the mazes, in cells.
        sharpness: how strongly it prefers moves towards the target.
    """

    targets: Cells
    width: int
    sharpness: float

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, 4], see `goalmaze.agents.policies.Actor`."""
        row, column = np.divmod(agent, self.width)
        target_row, target_column = np.divmod(self.targets[rows], self.width)
        # Whether a move up, right, down, left brings the agent one cell nearer (1), takes it one cell away (-1), or
        # leaves a row or column that is right already (-1).
        down, across = np.sign(target_row - row), np.sign(target_column - column)
        nearer: NDArray[np.float32] = np.stack([-down, across, down, -across], axis=1).astype(np.float32)
        nearer[nearer == 0] = -1
        weights = np.exp(self.sharpness * nearer)
        probabilities: Probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities


@dataclasses.dataclass(frozen=True, eq=False)
class Compass:
    """A policy that walks in the direction of a target and sees no walls.

    It is a lower bound for the claim that an edit makes an agent *navigate* to a target: an edit that only turned the
    agent in the target's direction would do as well as this policy.

    Attributes:
        targets: int [B], one cell of each level.
        sharpness: how strongly it prefers moves towards the target: such a move has exp(2 * sharpness) times the
            probability of any other. At 0 it moves at random; the larger it is, the longer it stays behind a wall.

    Example:
        >>> import numpy as np
        >>> import goalmaze as gm
        >>> from goalmaze.agents.compass import Compass
        >>> levels = gm.family("GreenExit").levels(seed=0, count=8)
        >>> gm.rollout(Compass(levels.cells("exit")), levels).agent.shape[0]
        8
    """

    targets: Cells
    sharpness: float = 1.0

    def begin(self, levels: LevelBatch) -> CompassActor:
        """Return an actor for one episode on each of the levels."""
        return CompassActor(np.asarray(self.targets), levels.width, self.sharpness)
