"""Reward shaping: a reward for each cell by which a step shortens the path to the nearest object worth reaching.

It resembles potential-based shaping (Ng et al., 1999), with the distance to the nearest target as the potential. It has
no discount, and it pays nothing when the targets change.
"""

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

    An object with a reward is a target until the agent enters it. An object that takes an item is a target only while
    the agent has an item; otherwise the objects that give items are targets. A step is measured by the targets before
    it, also where it changes them, so the undiscounted sum over a walk in a circle is zero. With a discount it is not:
    what the steps towards a target earn counts more than what later steps away from it cost.

    Args:
        family: the family of levels.
        batch: number B of episodes.
        scale: reward per cell.
        reward: the reward that the agent learns from.
    """

    def __init__(self, family: Family, batch: int, scale: float, reward: Reward) -> None:
        self.family, self.scale = family, scale
        self._table, self._column = family.table, COLUMN_OF[reward]
        self._gives = self._table[:, rules.GIVES] > 0
        self._needs = self._table[:, rules.NEEDS] > 0
        rewarded = self._table[:, self._column] > 0
        # Only these slots need distances. Objects that give items matter if one with a reward takes an item.
        self._slots = np.flatnonzero(rewarded | (self._gives & (rewarded & self._needs).any()))
        self._pays = np.zeros((batch, len(family.slots)), np.bool_)
        self._distances = np.zeros((batch, len(self._slots), family.size**2), np.int32)

    def begin(self, state: State, rows: NDArray[np.intp]) -> None:
        """Prepare the levels of the episodes that start in `rows` int [b]."""
        if not self.scale or not len(rows):
            return
        walls = (state.squares[rows] & WALL).astype(np.bool_).reshape(len(rows), self.family.size, self.family.size)
        levels = LevelBatch(walls, state.start[rows], state.placed[rows], self.family)
        self._pays[rows] = paying(self._table, levels.objects, self._column)
        for i, k in enumerate(self._slots):
            self._distances[rows, i] = distances(levels, levels.objects[:, k])

    def targets(self, state: State) -> Bools:
        """Return bool [B, K], the objects that are targets in the present states."""
        slots = np.arange(len(self.family.slots), dtype=np.uint64)
        # Bit k of `entered` says whether the agent has entered the object in slot k.
        untouched = (state.entered[:, None] >> slots & np.uint64(1)) == 0
        pays = self._pays & untouched
        # An object that pays only after another one was entered is no target before.
        for k in np.flatnonzero(self._table[:, rules.AFTER] >= 0):
            pays[:, k] &= ~untouched[:, int(self._table[k, rules.AFTER])]
        has_item = (state.items > 0)[:, None]
        needs_item = (pays & self._needs).any(axis=1, keepdims=True) & ~has_item
        gives = self._gives & untouched & (state.placed != ABSENT)
        return np.asarray((pays & (has_item | ~self._needs)) | (gives & needs_item))

    def distance_left(self, targets: Bools, agent: Cells) -> NDArray[np.int32]:
        """Return int32 [B], the distance in steps from the agent to the nearest target; 0 where there is none.

        Args:
            targets: bool [B, K], from `targets`.
            agent: int32 [B], the agents' cells.
        """
        distance = self._distances[np.arange(len(agent)), :, agent]
        nearest = np.where(targets[:, self._slots], distance, UNREACHABLE).min(axis=1, initial=UNREACHABLE)
        return np.where(nearest < UNREACHABLE, nearest, 0).astype(np.int32)
