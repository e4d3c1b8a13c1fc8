"""Reward shaping: a reward for each cell by which a step shortens the path to the nearest object worth reaching.

There are two kinds. `progress` pays for each cell of progress, whatever the discount. It changes which policy is best
under a discount, and comes close to a reward for imitating shortest paths. `potential` is potential-based shaping (Ng
et al., 1999): a step from s to s' pays γ·φ(s') − φ(s), where φ is minus the scale times the distance to the nearest
target and γ the discount. It leaves the order of policies as it is, so it asks for nothing that the reward does not.
"""

from __future__ import annotations

import copy
from typing import Literal, Self

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
Kind = Literal["progress", "potential"]

COLUMN_OF: dict[Reward, int] = {"true": rules.REWARD, "cue": rules.CUE_REWARD}


class Shaping:
    """The shaping of a batch of episodes.

    An object with a reward is a target until the agent enters it. An object that takes an item is a target only while
    the agent has an item; otherwise the objects that give items are targets.

    `progress` measures a step by the targets before it, also where it changes them, so the undiscounted sum over a walk
    in a circle is zero. With a discount it is not: what the steps towards a target earn counts more than what later
    steps away from it cost. `potential` measures each state by its own targets, and a state without targets or at the
    end of an episode has potential 0. Its discounted sum over an episode is therefore −φ of the first state.

    Args:
        family: the family of levels.
        batch: number B of episodes.
        scale: reward per cell.
        reward: the reward that the agent learns from.
        kind: "progress" or "potential".
        discount: the discount γ of the agent that learns, for "potential".
    """

    def __init__(
        self,
        family: Family,
        batch: int,
        scale: float,
        reward: Reward,
        kind: Kind = "progress",
        discount: float = 1.0,
    ) -> None:
        self.family, self.scale = family, scale
        self._is_potential, self._discount = kind == "potential", discount
        self._table, self._column = family.table, COLUMN_OF[reward]
        self._gives = self._table[:, rules.GIVES] > 0
        self._needs = self._table[:, rules.NEEDS] > 0
        rewarded = self._table[:, self._column] > 0
        # Only these slots need distances. Objects that give items matter if one with a reward takes an item.
        self._slots = np.flatnonzero(rewarded | (self._gives & (rewarded & self._needs).any()))
        self._pays = np.zeros((batch, len(family.slots)), np.bool_)
        self._distances = np.zeros((batch, len(self._slots), family.size**2), np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes of memory of all distances."""
        return self._distances.nbytes + self._pays.nbytes

    def part(self, rows: slice) -> Self:
        """Return the shaping of some consecutive episodes, which shares all arrays with this one."""
        part = copy.copy(self)
        part._pays, part._distances = self._pays[rows], self._distances[rows]
        return part

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

    def step_reward(
        self, targets: Bools, before: NDArray[np.int32], state: State, agent: Cells, terminated: Bools
    ) -> NDArray[np.float32]:
        """Return float32 [B], what the shaping pays for a step.

        Args:
            targets: bool [B, K], the targets before the step.
            before: int32 [B], the distance to the nearest of them before the step.
            state: the states after the step.
            agent: int32 [B], the agents' cells after the step.
            terminated: bool [B], which episodes the step ended, other than by the time limit.
        """
        scale = np.float32(self.scale)
        if not self._is_potential:
            # The same targets before and after: an object that is reached in this step still counts as the target.
            return scale * (before - self.distance_left(targets, agent)).astype(np.float32)
        after = np.where(terminated, 0, self.distance_left(self.targets(state), agent))
        return scale * (before - self._discount * after).astype(np.float32)
