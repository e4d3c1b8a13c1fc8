"""Where a batch of episodes stands: flat arrays that compiled code changes in place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import Bools, Cells

WALL, MARK = 1, 2
"""Bits of `State.squares`: a wall; an object stood here when the episode began."""

WALL_PLANE, AGENT_PLANE, FIRST_OBJECT_PLANE = 0, 1, 2


class State(NamedTuple):
    """Where B episodes stand, as arrays that change in place. Axes: H, W, K object slots, C observation planes.

    Attributes:
        width: columns W.
        squares: uint8 [B, H*W], bits `WALL` and `MARK`.
        start: int32 [B], the agents' first cells.
        placed: int32 [B, K], where the objects stood at the start, `ABSENT` where missing.
        objects: int32 [B, K], where they stand now.
        agent: int32 [B], cells.
        held: int32 [B], items the agent carries.
        touched: uint64 [B], bit k set once slot k was entered with effect.
        steps: int32 [B], steps taken.
        rewards: float32 [B, 2], true and cue reward of the last step.
        terminated: bool [B], whether the last step ended the episode by the rules.
        truncated: bool [B], whether the last step was the last one allowed.
        ended: bool [B], whether the step before that ended the episode.
        planes: uint8 [B, C, H*W], what the agents see.
        leader_paths: int32 [B, L], where a leading object stands after each step; L is 0 where nothing leads.
        luck: uint64 [B], the random stream that wandering objects draw from; at first the same on equal start and
            objects.
    """

    width: int
    squares: NDArray[np.uint8]
    start: Cells
    placed: Cells
    objects: Cells
    agent: Cells
    held: NDArray[np.int32]
    touched: NDArray[np.uint64]
    steps: NDArray[np.int32]
    rewards: NDArray[np.float32]
    terminated: Bools
    truncated: Bools
    ended: Bools
    planes: NDArray[np.uint8]
    leader_paths: Cells
    luck: NDArray[np.uint64]

    @property
    def walls(self) -> Bools:
        """bool [B, H, W], a copy."""
        walls = (self.squares & WALL).astype(np.bool_)
        return walls.reshape(len(walls), -1, self.width)


def blank_state(*, batch: int, height: int, width: int, slots: int, planes: int, leader_path_length: int) -> State:
    """Return arrays for B episodes that no level was put into yet."""
    cells = height * width
    return State(
        width=width,
        squares=np.zeros((batch, cells), np.uint8),
        start=np.zeros(batch, np.int32),
        placed=np.full((batch, slots), -1, np.int32),
        objects=np.full((batch, slots), -1, np.int32),
        agent=np.zeros(batch, np.int32),
        held=np.zeros(batch, np.int32),
        touched=np.zeros(batch, np.uint64),
        steps=np.zeros(batch, np.int32),
        rewards=np.zeros((batch, 2), np.float32),
        terminated=np.zeros(batch, np.bool_),
        truncated=np.zeros(batch, np.bool_),
        ended=np.zeros(batch, np.bool_),
        planes=np.zeros((batch, planes, cells), np.uint8),
        leader_paths=np.zeros((batch, leader_path_length), np.int32),
        luck=np.arange(batch, dtype=np.uint64),
    )
