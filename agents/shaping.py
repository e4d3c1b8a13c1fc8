"""What training may add to the reward: a little for every cell by which a step shortens the way to what pays.

Such a reward is a difference of potentials, and so leaves the best policy what it is (Ng et al., 1999).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs import rules
from goalmaze.envs.families.base import Family
from goalmaze.envs.levels import Cells, LevelBatch
from goalmaze.envs.solving import distances, paying, pick
from goalmaze.envs.state import State

Reward = Literal["true", "cue"]

COLUMN_OF: dict[Reward, int] = {"true": rules.REWARD, "cue": rules.CUE_REWARD}


class Shaping:
    """The shaping of a batch of episodes.

    Args:
        family: the world.
        batch: episodes B.
        scale: reward per cell.
        reward: which reward the agent is after.

    Attributes:
        ways: int32 [B, H*W], steps from each cell to the object that pays; 0 in levels with none, or more than one.
    """

    def __init__(self, family: Family, batch: int, scale: float, reward: Reward) -> None:
        self.family, self.scale, self.column = family, scale, COLUMN_OF[reward]
        self.ways = np.zeros((batch, family.size**2), np.int32)

    def begin(self, state: State, rows: NDArray[np.intp]) -> None:
        """Take note of the levels that begin in `rows`."""
        if not self.scale or not len(rows):
            return
        shape = (len(rows), self.family.size, self.family.size)
        walls = (state.squares[rows] & 1).astype(np.bool_).reshape(shape)
        levels = LevelBatch(walls, state.start[rows], state.placed[rows], self.family.slots)
        pays = paying(self.family.table, levels.objects, self.column)
        target = np.where(pays, levels.objects, -1).max(axis=1).astype(np.int32)
        alone = pays.sum(axis=1) == 1
        self.ways[rows] = np.where(alone[:, None], distances(levels, target), 0)

    def left(self, agent: Cells) -> NDArray[np.int32]:
        """Return int32 [B], the steps left to what pays from the agents' cells [B]."""
        return pick(self.ways, agent)
