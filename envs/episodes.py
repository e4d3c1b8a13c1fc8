"""Running episodes: the arrays that change while agents act, shared by rollouts and the Gymnasium environments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs import kernels
from goalmaze.envs.families.base import Family
from goalmaze.envs.generation import World
from goalmaze.envs.kernels import State
from goalmaze.envs.levels import Bools, LevelBatch
from goalmaze.envs.prepared import prepare_play, prepare_step

Planes = NDArray[np.uint8]


class Episodes:
    """B episodes of one family under way. Arrays are changed in place; see `State` for those of `state`.

    Attributes:
        family: the world whose rules hold.
        state: all the arrays; those most asked for are attributes of their own: `agent`, `objects`, `steps`, `rewards`,
            `terminated`, `truncated`.
    """

    def __init__(self, family: Family, levels: LevelBatch) -> None:
        batch, slots = levels.objects.shape
        self.family = family
        self._table = family.table
        self.state = State(
            width=levels.width,
            walls=levels.walls.reshape(batch, levels.height * levels.width).copy(),
            start=levels.start.copy(),
            placed=levels.objects.copy(),
            objects=np.empty((batch, slots), np.int32),
            agent=np.empty(batch, np.int32),
            held=np.empty(batch, np.int32),
            touched=np.empty(batch, np.uint64),
            steps=np.empty(batch, np.int32),
            rewards=np.empty((batch, 2), np.float32),
            terminated=np.empty(batch, np.bool_),
            truncated=np.empty(batch, np.bool_),
            ended=np.empty(batch, np.bool_),
            planes=np.empty((batch, family.planes, levels.height * levels.width), np.uint8),
            marks=np.empty((batch, levels.height * levels.width), np.uint8),
            routes=np.empty((batch, family.route_length), np.int32),
            luck=np.arange(batch, dtype=np.uint64),
        )
        self.agent, self.objects = self.state.agent, self.state.objects
        self.steps, self.rewards = self.state.steps, self.state.rewards
        self.terminated, self.truncated = self.state.terminated, self.state.truncated
        self._planes: Planes = self.state.planes.reshape(batch, family.planes, levels.height, levels.width)
        self._step = prepare_step(self.state, self._table, family.time_limit)
        kernels.begin_rows(self.state, self._table, np.arange(batch))

    def __len__(self) -> int:
        return len(self.agent)

    @property
    def done(self) -> Bools:
        """bool [B], True where the last step ended the episode, either way."""
        done: Bools = self.terminated | self.truncated
        return done

    def levels(self) -> LevelBatch:
        """Return a copy of the levels being played, as they were at the start."""
        state = self.state
        walls = state.walls.reshape(len(self), -1, state.width).copy()
        return LevelBatch(walls, state.start.copy(), state.placed.copy(), self.family.slots)

    def present(self) -> LevelBatch:
        """Return the levels with their objects where they are now: moved, held along the top wall, or gone."""
        return dataclasses.replace(self.levels(), objects=self.objects.copy())

    def begin(self, rows: NDArray[np.intp], levels: LevelBatch | None = None) -> None:
        """Begin new episodes in `rows`, on `levels` (one for each row) or on the level each row already has."""
        if levels is not None:
            self.state.walls[rows] = levels.walls.reshape(len(levels), levels.height * levels.width)
            self.state.start[rows] = levels.start
            self.state.placed[rows] = levels.objects
        kernels.begin_rows(self.state, self._table, np.ascontiguousarray(rows, np.int64))

    def step(self, actions: NDArray[np.integer]) -> None:
        """Advance every episode by one of `actions` [B]; rewards and ends are then in the attributes."""
        self._step(actions)

    def renew(self, rows: NDArray[np.intp], world: World, numbers: NDArray[np.int64]) -> None:
        """Begin new episodes in `rows` on fresh levels; arguments as `kernels.play`."""
        kernels.renew_rows(self.state, self._table, np.ascontiguousarray(rows, np.int64), world, numbers)

    def player(self, world: World, numbers: NDArray[np.int64]) -> Callable[[NDArray[np.integer]], None]:
        """Return a function of actions [B] that steps, and begins new episodes where one had ended before.

        Arguments as `kernels.play`.
        """
        return prepare_play(self.state, self._table, self.family.time_limit, world, numbers)

    def observe(self) -> Planes:
        """Return uint8 [B, C, H, W], what the agents see; the next step changes it in place."""
        return self._planes


def first_observations(family: Family, levels: LevelBatch) -> Planes:
    """Return uint8 [B, C, H, W], what the agents see before their first step."""
    return Episodes(family, levels).observe()
