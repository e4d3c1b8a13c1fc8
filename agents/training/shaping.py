"""What training may add to the reward: a little for every cell by which a step shortens the way to what pays next."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.engine import rules
from goalmaze.envs.engine.state import WALL, State
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.optimal_returns import paying
from goalmaze.envs.solving import distances

Reward = Literal["true", "cue"]

COLUMN_OF: dict[Reward, int] = {"true": rules.REWARD, "cue": rules.CUE_REWARD}


class Shaping:
    """The shaping of a batch of episodes.

    An object is a target while it pays and was not entered. One that takes an item is a target only while the agent
    holds one; while it holds none, what gives items is. So a step is judged by what pays before it is taken, and
    nothing can be earned by going in circles.

    Args:
        family: the world.
        batch: episodes B.
        scale: reward per cell.
        reward: which reward the agent is after.
    """

    def __init__(self, family: Family, batch: int, scale: float, reward: Reward) -> None:
        self.family, self.scale = family, scale
        self._table, self._column = family.table, COLUMN_OF[reward]
        self._gives = self._table[:, rules.GIVES] > 0
        self._needs = self._table[:, rules.NEEDS] > 0
        worth = self._table[:, self._column] > 0
        self._slots = np.flatnonzero(worth | (self._gives & (worth & self._needs).any()))
        self._pays = np.zeros((batch, len(family.slots)), np.bool_)
        self._ways = np.zeros((batch, len(self._slots), family.size**2), np.int32)

    def begin(self, state: State, rows: NDArray[np.intp]) -> None:
        """Take note of the levels that begin in `rows`."""
        if not self.scale or not len(rows):
            return
        walls = (state.squares[rows] & WALL).astype(np.bool_).reshape(len(rows), self.family.size, self.family.size)
        levels = LevelBatch(walls, state.start[rows], state.placed[rows], self.family)
        self._pays[rows] = paying(self._table, levels.objects, self._column)
        for i, k in enumerate(self._slots):
            self._ways[rows, i] = distances(levels, levels.objects[:, k])

    def targets(self, state: State) -> Bools:
        """Return bool [B, K], the objects that it would pay to enter next."""
        slots = np.arange(len(self.family.slots), dtype=np.uint64)
        left = (state.entered[:, None] >> slots & np.uint64(1)) == 0
        pays = self._pays & left
        for k in np.flatnonzero(self._table[:, rules.AFTER] >= 0):
            pays[:, k] &= ~left[:, int(self._table[k, rules.AFTER])]
        holds = (state.items > 0)[:, None]
        waits = (pays & self._needs).any(axis=1, keepdims=True) & ~holds
        gives = self._gives & left & (state.placed != ABSENT)
        return np.asarray((pays & (holds | ~self._needs)) | (gives & waits))

    def left(self, targets: Bools, agent: Cells) -> NDArray[np.int32]:
        """Return int32 [B], the steps from the agents' cells [B] to the nearest target; 0 where there is none."""
        ways = self._ways[np.arange(len(agent)), :, agent]
        nearest = np.where(targets[:, self._slots], ways, UNREACHABLE).min(axis=1, initial=UNREACHABLE)
        return np.where(nearest < UNREACHABLE, nearest, 0).astype(np.int32)
