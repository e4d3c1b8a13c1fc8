"""Breadth-first search through one maze, compiled."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.actions import DOWN, LEFT, RIGHT, UP
from goalmaze.envs.jit.compile import compiled

UNREACHABLE = 2**28
"""Larger than any real distance in steps, and small enough to be added to itself."""


@compiled
def flood(walls: np.ndarray, source: int, distance: np.ndarray, queue: np.ndarray) -> None:
    """Fill `distance` int32 [H*W] with the steps from a cell of one maze bool [H, W]; `queue` [H*W] is scratch."""
    height, width = walls.shape
    distance[:] = UNREACHABLE
    if source < 0:
        return
    # The caller gives the queue: thousands of mazes are searched without an allocation.
    distance[source] = 0
    queue[0] = source
    head, tail = 0, 1
    while head < tail:
        cell = queue[head]
        head += 1
        row, column = cell // width, cell % width
        for action in range(4):
            r = row + (action == DOWN) - (action == UP)
            c = column + (action == RIGHT) - (action == LEFT)
            # Bounds are tested, because a level that was not checked may have an open border.
            if r < 0 or c < 0 or r >= height or c >= width or walls[r, c]:
                continue
            if distance[r * width + c] == UNREACHABLE:
                distance[r * width + c] = distance[cell] + 1
                queue[tail] = r * width + c
                tail += 1
