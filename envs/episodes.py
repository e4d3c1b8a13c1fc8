"""Running episodes: the arrays that change while agents act, shared by rollouts and the Gymnasium environments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs import kernels
from goalmaze.envs.families.base import Family
from goalmaze.envs.levels import LevelBatch

Planes = NDArray[np.uint8]


class Episodes:
    """B episodes of one family under way. Arrays are changed in place.

    Attributes:
        family: the world whose rules hold.
        walls: bool [B, H, W].
        start: int32 [B] cells.
        objects: int32 [B, K] cells.
        agent: int32 [B], the cell each agent stands on.
        touched: uint32 [B], bit k set once slot k was entered.
        steps: int32 [B], steps taken.
        rewards: float32 [B, 2], true and cue reward of the last step.
        terminated: bool [B], whether the last step entered an object that ends the episode.
        truncated: bool [B], whether the last step was the last one allowed.
    """

    def __init__(self, family: Family, levels: LevelBatch) -> None:
        batch = len(levels)
        self.family = family
        self.walls = levels.walls.copy()
        self.start = levels.start.copy()
        self.objects = levels.objects.copy()
        self.agent = levels.start.copy()
        self.touched = np.zeros(batch, np.uint32)
        self.steps = np.zeros(batch, np.int32)
        self.rewards = np.zeros((batch, 2), np.float32)
        self.terminated = np.zeros(batch, np.bool_)
        self.truncated = np.zeros(batch, np.bool_)
        self._planes = np.zeros((batch, family.planes, levels.height, levels.width), np.uint8)

    def __len__(self) -> int:
        return len(self.walls)

    @property
    def done(self) -> NDArray[np.bool_]:
        """bool [B], True where the last step ended the episode, either way."""
        return self.terminated | self.truncated

    def levels(self) -> LevelBatch:
        """Return a copy of the levels being played."""
        return LevelBatch(self.walls.copy(), self.start.copy(), self.objects.copy(), self.family.slots)

    def begin(self, rows: NDArray[np.intp], levels: LevelBatch | None = None) -> None:
        """Begin new episodes in `rows`, on `levels` (one for each row) or on the level each row already has."""
        if levels is not None:
            self.walls[rows] = levels.walls
            self.start[rows] = levels.start
            self.objects[rows] = levels.objects
        self.agent[rows] = self.start[rows]
        self.touched[rows] = 0
        self.steps[rows] = 0
        self.terminated[rows] = False
        self.truncated[rows] = False

    def step(self, actions: NDArray[np.integer]) -> None:
        """Advance every episode by one of `actions` [B]; rewards and ends are then in the attributes."""
        rules = self.family.rules
        kernels.step(
            self.walls,
            self.objects,
            rules.rewards_of,
            rules.ends,
            self.family.time_limit,
            np.ascontiguousarray(actions, np.int64),
            self.agent,
            self.touched,
            self.steps,
            self.rewards,
            self.terminated,
            self.truncated,
        )

    def observe(self) -> Planes:
        """Return uint8 [B, C, H, W], what the agents see; the next call overwrites it."""
        rules = self.family.rules
        kernels.observe(self.walls, self.objects, rules.plane_of, rules.value_of, self.agent, self._planes)
        return self._planes


def first_observations(family: Family, levels: LevelBatch) -> Planes:
    """Return uint8 [B, C, H, W], what the agents see before their first step."""
    return Episodes(family, levels).observe()
