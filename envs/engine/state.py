"""The state of a batch of episodes: flat arrays that compiled code changes in place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import Bools, Cells

WALL, MARK = 1, 2
"""Bits of `State.squares`: a wall; an object stood here when the episode began.

A step onto a square without `MARK` needs no look at the objects, unless some of them move.
"""

WALL_PLANE, AGENT_PLANE, FIRST_OBJECT_PLANE = 0, 1, 2


class State(NamedTuple):
    """The state of B episodes, as arrays that change in place.

    Axes: H rows, W columns, K object slots, C observation planes, L steps.

    Attributes:
        width: columns W.
        squares: uint8 [B, H*W], bits `WALL` and `MARK`.
        start: int32 [B], the agents' first cells.
        placed: int32 [B, K], the objects' cells at the start, `ABSENT` where missing.
        objects: int32 [B, K], the objects' cells now. An item that the agent holds is at cell k, on the top wall; one
            that is used up or gone is `ABSENT`.
        agent: int32 [B], the agents' cells.
        items: int32 [B], number of items the agent holds.
        entered: uint64 [B], bit k is set once slot k was entered with effect.
        steps: int32 [B], steps taken.
        rewards: float32 [B, 2], true and cue reward of the last step.
        terminated: bool [B], whether the last step ended the episode by the rules.
        truncated: bool [B], whether the last step was the last one allowed.
        ended: bool [B], whether the step before that ended the episode.
        planes: uint8 [B, C, H*W], the observation planes.
        leader_paths: int32 [B, L], the cell of a leading object after each step; L is 0 where nothing leads.
        streams: uint64 [B], the random streams of wandering objects; equal levels begin with equal streams.
    """

    width: int
    squares: NDArray[np.uint8]
    start: Cells
    placed: Cells
    objects: Cells
    agent: Cells
    items: NDArray[np.int32]
    entered: NDArray[np.uint64]
    steps: NDArray[np.int32]
    rewards: NDArray[np.float32]
    terminated: Bools
    truncated: Bools
    ended: Bools
    planes: NDArray[np.uint8]
    leader_paths: Cells
    streams: NDArray[np.uint64]

    @property
    def walls(self) -> Bools:
        """bool [B, H, W], a copy."""
        walls = (self.squares & WALL).astype(np.bool_)
        return walls.reshape(len(walls), -1, self.width)


def blank_state(*, batch: int, height: int, width: int, slots: int, planes: int, leader_path_length: int) -> State:
    """Return the arrays of B episodes without levels, none of them begun."""
    # int32 holds every cell and halves the memory that a step touches; `entered` needs all 64 bits, one for each slot.
    cells = height * width
    return State(
        width=width,
        squares=np.zeros((batch, cells), np.uint8),
        start=np.zeros(batch, np.int32),
        placed=np.full((batch, slots), -1, np.int32),
        objects=np.full((batch, slots), -1, np.int32),
        agent=np.zeros(batch, np.int32),
        items=np.zeros(batch, np.int32),
        entered=np.zeros(batch, np.uint64),
        steps=np.zeros(batch, np.int32),
        rewards=np.zeros((batch, 2), np.float32),
        terminated=np.zeros(batch, np.bool_),
        truncated=np.zeros(batch, np.bool_),
        ended=np.zeros(batch, np.bool_),
        planes=np.zeros((batch, planes, cells), np.uint8),
        leader_paths=np.zeros((batch, leader_path_length), np.int32),
        # Any values will do: streams are set when an episode begins, and read only where objects move.
        streams=np.arange(batch, dtype=np.uint64),
    )
