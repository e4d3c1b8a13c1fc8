"""Running episodes: the arrays that change while agents act, shared by rollouts and the Gymnasium environments."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import Bools
from goalmaze.envs.engine import kernels
from goalmaze.envs.engine.bound_kernel import BoundKernel
from goalmaze.envs.engine.level_generation import World
from goalmaze.envs.engine.state import blank_state
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch

Planes = NDArray[np.uint8]


class Episodes:
    """B episodes of one family under way. Arrays are changed in place; see `State` for those of `state`.

    Attributes:
        family: the world whose rules hold.
        state: all the arrays; those most asked for are attributes of their own: `agent`, `objects`, `steps`, `rewards`,
            `terminated`, `truncated`.
    """

    def __init__(self, family: Family, levels: LevelBatch | int) -> None:
        """Begin an episode on each level, or make room for so many that `renew` or `begin` are to begin.

        Raises:
            GoalmazeError: a level is not closed, or something stands in a wall or outside.
        """
        given = None if isinstance(levels, int) else levels
        self.family = family
        self._table = family.table
        self.state = blank_state(
            batch=levels if isinstance(levels, int) else len(levels),
            height=given.height if given else family.size,
            width=given.width if given else family.size,
            slots=len(family.slots),
            planes=family.planes,
            leader_path_length=family.leader_path_length,
        )
        self.agent, self.objects = self.state.agent, self.state.objects
        self.steps, self.rewards = self.state.steps, self.state.rewards
        self.terminated, self.truncated = self.state.terminated, self.state.truncated
        self._planes = self._shaped_planes()
        self._step = BoundKernel(self.state, self._table, family.time_limit)
        if given is not None:
            self.begin(np.arange(len(given)), given)

    def _shaped_planes(self) -> Planes:
        batch, planes, cells = self.state.planes.shape
        shaped: Planes = self.state.planes.reshape(batch, planes, cells // self.state.width, self.state.width)
        return shaped

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)
        self._planes = self._shaped_planes()

    def __len__(self) -> int:
        return len(self.agent)

    @property
    def done(self) -> Bools:
        """bool [B], True where the last step ended the episode, either way."""
        done: Bools = self.terminated | self.truncated
        return done

    @property
    def nbytes(self) -> int:
        """Bytes of memory that all episodes take."""
        return int(sum(array.nbytes for array in self.state[1:]))

    def levels(self) -> LevelBatch:
        """Return a copy of the levels being played, as they were at the start."""
        state = self.state
        return LevelBatch(state.walls, state.start.copy(), state.placed.copy(), self.family)

    def present(self) -> LevelBatch:
        """Return the levels with their objects where they are now: moved, held along the top wall, or gone."""
        return dataclasses.replace(self.levels(), objects=self.objects.copy())

    def begin(self, rows: NDArray[np.intp], levels: LevelBatch | None = None) -> None:
        """Begin new episodes in `rows`, on `levels` (one for each row) or on the level each row already has.

        Raises:
            GoalmazeError: a level is another family's or not closed, or something stands in a wall or outside.
        """
        if levels is not None:
            if levels.slots != self.family.slots:
                raise GoalmazeError(
                    f"the levels hold {' '.join(levels.slots)}; {self.family.name} has {' '.join(self.family.slots)}"
                )
            levels.check_playable()
            self.state.squares[rows] = levels.walls.reshape(len(levels), levels.height * levels.width)
            self.state.start[rows] = levels.start
            self.state.placed[rows] = levels.objects
        kernels.begin_rows(self.state, self._table, np.ascontiguousarray(rows, np.int64))

    def step(self, actions: NDArray[np.integer] | np.integer | int) -> None:
        """Advance each episode by one of `actions` [B], or all by the same; rewards and ends are then attributes."""
        self._step(actions)

    def renew(self, rows: NDArray[np.intp], world: World, numbers: NDArray[np.int64]) -> None:
        """Begin new episodes in `rows` on fresh levels; arguments as `kernels.play`."""
        kernels.renew_rows(self.state, self._table, np.ascontiguousarray(rows, np.int64), world, numbers)

    def player(self, world: World, numbers: NDArray[np.int64]) -> BoundKernel:
        """Return a function of actions [B] that steps, and begins new episodes where one had ended before.

        Arguments as `kernels.play`.
        """
        return BoundKernel(self.state, self._table, self.family.time_limit, world, numbers)

    def observe(self) -> Planes:
        """Return uint8 [B, C, H, W], what the agents see; the next step changes it in place."""
        return self._planes


def first_observations(levels: LevelBatch) -> Planes:
    """Return uint8 [B, C, H, W], what the agents see before their first step."""
    family = levels.family
    return Episodes(family, levels).observe()
