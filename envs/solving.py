"""Shortest paths: distances, who lies on whose way, and the best that could have been had.

Distances are in steps. `UNREACHABLE` is larger than any real distance and small enough to be added to itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.compiled import compiled
from goalmaze.envs.levels import Bools, Cells, LevelBatch

UNREACHABLE = 2**28

Distances = NDArray[np.int32]


@compiled
def _flood(walls: np.ndarray, sources: np.ndarray, distance: np.ndarray, queue: np.ndarray) -> None:
    levels, height, width = walls.shape
    for b in range(levels):
        distance[b] = UNREACHABLE
        if sources[b] < 0:
            continue
        distance[b, sources[b]] = 0
        queue[0] = sources[b]
        head, tail = 0, 1
        while head < tail:
            cell = queue[head]
            head += 1
            row, column = divmod(cell, width)
            for way in range(4):
                r = row - (way == 0) + (way == 2)
                c = column + (way == 1) - (way == 3)
                if r < 0 or c < 0 or r >= height or c >= width or walls[b, r, c]:
                    continue
                if distance[b, r * width + c] == UNREACHABLE:
                    distance[b, r * width + c] = distance[b, cell] + 1
                    queue[tail] = r * width + c
                    tail += 1


def distances(levels: LevelBatch, sources: Cells) -> Distances:
    """Return int32 [B, H*W], the steps from `sources` [B] to every cell by breadth-first search.

    Walls and cells that cannot be reached, and all cells of a level whose source is absent, are `UNREACHABLE`.
    Distances are symmetric, so this is also the way *to* the source. Cost: one visit per cell.
    """
    cells = levels.height * levels.width
    distance = np.empty((len(levels), cells), np.int32)
    _flood(levels.walls, np.ascontiguousarray(sources, np.int32), distance, np.empty(cells, np.int32))
    return distance


def pick(distance: Distances, cells: Cells) -> Distances:
    """Return int32 [B], the entry of `distance` [B, H*W] at `cells` [B]; `UNREACHABLE` where a cell is absent."""
    rows = np.arange(len(distance))
    return np.where(cells >= 0, distance[rows, np.maximum(cells, 0)], UNREACHABLE).astype(np.int32)


def on_the_way(levels: LevelBatch, sources: Cells, targets: Cells, cells: Cells) -> Bools:
    """Return bool [B], True where `cells` lies on at least one shortest path from `sources` to `targets`.

    All arguments are cells [B]. The ends of a path lie on it. False where anything is absent or unreachable.
    """
    from_source = distances(levels, sources)
    to_target = distances(levels, targets)
    whole = pick(from_source, targets)
    through = pick(from_source, cells) + pick(to_target, cells)
    return np.asarray((through == whole) & (whole < UNREACHABLE))
