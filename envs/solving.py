"""Shortest paths: distances from cells, and cells that lie on a shortest path.

Distances are in steps. `UNREACHABLE` is larger than any real distance and small enough to be added to itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.flood import UNREACHABLE, flood
from goalmaze.envs.levels import LevelBatch

Distances = NDArray[np.int32]


@compiled
def _flood_all(walls: np.ndarray, sources: np.ndarray, distance: np.ndarray) -> None:
    queue = np.empty(distance.shape[1], np.int32)
    for b in range(sources.shape[0]):
        flood(walls[b], sources[b], distance[b], queue)


def distances(levels: LevelBatch, sources: Cells) -> Distances:
    """Return int32 [B, H*W], the steps from `sources` [B] to every cell by breadth-first search.

    Walls and cells that cannot be reached, and all cells of a level whose source is absent, are `UNREACHABLE`.
    Distances are symmetric, so these are also the steps *to* the source. Cost: one visit per cell.
    """
    cells = levels.height * levels.width
    distance = np.empty((len(levels), cells), np.int32)
    _flood_all(levels.walls, np.ascontiguousarray(sources, np.int32), distance)
    return distance


def pick(distance: Distances, cells: Cells) -> Distances:
    """Return int32 [B], the entry of `distance` [B, H*W] at `cells` [B]; `UNREACHABLE` where a cell is absent."""
    # The index -1 of an absent cell would select the last cell, so it is replaced before the look-up.
    rows = np.arange(len(distance))
    return np.where(cells >= 0, distance[rows, np.maximum(cells, 0)], UNREACHABLE).astype(np.int32)


def steps_nearer(levels: LevelBatch, cells: Cells) -> Bools:
    """Return bool [B, 4], whether each action leads the agent from the start of its level nearer to `cells` [B].

    None of them does where the cell is absent or out of reach, and where the agent stands on it.
    """
    steps = distances(levels, cells)
    neighbours = (levels.start[:, None] + cell_steps(levels.width)[None, :]).astype(np.int64)
    here = np.take_along_axis(steps, levels.start[:, None].astype(np.int64), axis=1)
    return np.asarray(np.take_along_axis(steps, neighbours, axis=1) < here)


def lies_on_shortest_path(levels: LevelBatch, sources: Cells, targets: Cells, cells: Cells) -> Bools:
    """Return bool [B], True where `cells` lies on at least one shortest path from `sources` to `targets`.

    All arguments are cells [B]. The ends of a path lie on it. False where anything is absent or unreachable.
    """
    from_source = distances(levels, sources)
    to_target = distances(levels, targets)
    # A cell lies on a shortest path exactly if its distances to both ends add up to the length of the path.
    whole = pick(from_source, targets)
    through = pick(from_source, cells) + pick(to_target, cells)
    return np.asarray((through == whole) & (whole < UNREACHABLE))
