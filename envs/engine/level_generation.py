"""From an address to a level, compiled: a maze algorithm, then a short list of placements.

Axes: B levels, H rows, W columns, K object slots, R placements.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.jit.compile import compiled, inlined
from goalmaze.envs.jit.counter_rng import address, below, draw, scale, stream_for, uniform
from goalmaze.envs.jit.flood import UNREACHABLE, flood
from goalmaze.envs.mazes.carving import carve, carve_centred

WALLS_STREAM, MIXTURE_STREAM, FIRST_PLACEMENT_STREAM = 0, 1, 2
"""Purposes of the random streams of an address: `FIRST_PLACEMENT_STREAM` + r is that of the r-th placement.

Every placement has a stream of its own, so that a shift keeps all that its list of placements has in common with the
training distribution's.
"""

ANYWHERE, ON, CORNER, TOP_RIGHT, ASIDE, ONE_OF = range(6)
"""The kinds of placement: on a free cell without agent or objects; on the cell of its host; on a free cell of the n x n
region in the top right corner, without the agent; on the free cell nearest to that corner; on a free cell that leaves
the agent a path to its host; as the first, for a subject drawn from n slots. Subject and host are the agent's start or
an object."""


class LevelDistribution(NamedTuple):
    """How the levels of a split are made.

    Attributes:
        split: number of the split.
        algorithm: number of the maze algorithm.
        openness: the algorithm's parameter.
        mixture: fraction of levels that are filled by the second list of placements instead of the first.
        braids: the probability with which a wall between cells is opened afterwards, in levels of the first and of the
            second list.
        sides: rows and columns of the carved maze in levels of the first and of the second list; the rest is wall.
        placements: int64 [2, R, 4], columns subject, kind, host, region. List 1 is that of the mixture. Subject
            and host are 0 for the agent's start and k + 1 for slot k; a subject of -1 is no placement. For `ONE_OF`,
            the region is the number n of slots, of which the subject is the first.
        probabilities: float64 [2, R]. For `ON`, the probability of the host's cell, with
            `ANYWHERE` otherwise; for every other kind, the probability that the subject is in the level at all.
    """

    split: int
    algorithm: int
    openness: float
    mixture: float
    braids: tuple[float, float]
    sides: tuple[int, int]
    placements: NDArray[np.int64]
    probabilities: NDArray[np.float64]


class LevelAddresses(NamedTuple):
    """The address of the next level of each environment.

    Attributes:
        seeds: int64 [B].
        indices: int64 [B], `stride` higher after each level.
        stride: number of environments that share a seed, and so take turns with its levels.
    """

    seeds: NDArray[np.int64]
    indices: NDArray[np.int64]
    stride: int


_S32, _LOW_32 = np.uint64(32), np.uint64(0xFFFFFFFF)

RANDOM_TRIALS = 64
"""Cells that are tried at random before all cells are searched."""

ASIDE_TRIALS = 32
"""Cells that are tried before an object that must leave a path open is left out."""


@inlined
def generate(
    distribution: LevelDistribution,
    seed: int,
    index: int,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    rng: np.ndarray,
) -> None:
    """Fill walls bool [H, W], start int32 [1] and objects int32 [K] with the level at the address (seed, index).

    `rng` uint64 [1] is scratch.
    """
    level = address(seed, distribution.split, index)
    # The mixture has a stream of its own: where both lists carve alike, a level has the same maze with and without it.
    which = 0
    if distribution.mixture > 0:
        rng[0] = stream_for(level, MIXTURE_STREAM)
        which = 1 if uniform(rng) < distribution.mixture else 0
    rng[0] = stream_for(level, WALLS_STREAM)
    braid, side = distribution.braids[which], distribution.sides[which]
    if side == walls.shape[0]:
        carve(walls, rng, distribution.algorithm, distribution.openness, braid)
    else:
        carve_centred(walls, rng, distribution.algorithm, distribution.openness, braid, side)
    start[0] = -1
    objects[:] = -1
    # Which numbers are drawn, and in which order, belongs to the address: another order would give other levels.
    for r in range(distribution.placements.shape[1]):
        subject = distribution.placements[which, r, 0]
        if subject < 0:
            continue
        rng[0] = stream_for(level, FIRST_PLACEMENT_STREAM + r)
        if distribution.placements[which, r, 1] == ONE_OF:
            subject += below(rng, distribution.placements[which, r, 3])
        cell = draw_cell(distribution, which, r, walls, start, objects, rng)
        if subject == 0:
            start[0] = cell
        else:
            objects[subject - 1] = cell


@inlined
def draw_cell(
    distribution: LevelDistribution,
    which: int,
    r: int,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    rng: np.ndarray,
) -> int:
    """Return a cell for the subject of placement r of list `which`, or -1 where it is not in the level.

    Args:
        distribution: how levels are made.
        which: the list of placements.
        r: number of the placement.
        walls: bool [H, W].
        start: int32 [1], the agent's cell, -1 before it is placed.
        objects: int32 [K], the objects that are placed already.
        rng: uint64 [1], the random stream of the placement.
    """
    squares, width = walls.reshape(-1), walls.shape[1]
    _, kind, host, region = distribution.placements[which, r]
    probability = distribution.probabilities[which, r]
    if kind == TOP_RIGHT:
        cell = top_right(squares, width)
    elif kind == CORNER:
        cell = _corner_cell(squares, width, start, rng, region)
    elif kind == ASIDE:
        cell = _cell_aside(walls, start, objects, rng, objects[host - 1])
    elif kind == ON and uniform(rng) < probability:
        cell = start[0] if host == 0 else objects[host - 1]
    else:
        cell = free_cell(squares, width, start, objects, rng, width - 2)
    # After the cell was drawn: a level that holds the object has it on the same cell at any probability.
    if kind != ON and probability < 1 and uniform(rng) >= probability:
        cell = -1
    return cell


@inlined
def top_right(squares: np.ndarray, width: int) -> int:
    """Return the free cell of `squares` bool [H*W] nearest to the top right corner, by the larger of two distances."""
    for side in range(1, width - 1):
        for row in range(1, side + 1):
            for column in range(width - 2, width - 2 - side, -1):
                if not squares[row * width + column]:
                    return row * width + column
    return -1


@inlined
def _corner_cell(squares: np.ndarray, width: int, start: np.ndarray, rng: np.ndarray, region: int) -> int:
    """Return a uniform free cell of the smallest region in the top right corner, n x n at least, that has one."""
    for side in range(region, width - 1):
        # An empty array in place of the objects: this placement may share a cell with them.
        cell = free_cell(squares, width, start, start[:0], rng, side)
        if cell >= 0:
            return cell
    return -1


@compiled
def _cell_aside(walls: np.ndarray, start: np.ndarray, objects: np.ndarray, rng: np.ndarray, target: int) -> int:
    """Return a free cell that leaves the agent a path to `target` around everything placed so far, or -1."""
    # A copy: objects count as walls for the path, but must not become walls of the level.
    blocked = walls.copy()
    squares = blocked.reshape(-1)
    for k in range(objects.shape[0]):
        if objects[k] >= 0 and objects[k] != target:
            squares[objects[k]] = True
    distance = np.empty(walls.size, np.int32)
    queue = np.empty(walls.size, np.int32)
    for _ in range(ASIDE_TRIALS):
        cell = free_cell(walls.reshape(-1), walls.shape[1], start, objects, rng, walls.shape[1] - 2)
        if cell < 0:
            break
        squares[cell] = True
        flood(blocked, start[0], distance, queue)
        if distance[target] < UNREACHABLE:
            return cell
        squares[cell] = False
    return -1


@inlined
def free_cell(
    squares: np.ndarray, width: int, start: np.ndarray, objects: np.ndarray, rng: np.ndarray, side: int
) -> int:
    """Return a free cell without agent or objects, drawn uniformly, or -1 where there is none.

    It is one of the `side` x `side` squares in the top right corner of `squares` bool [H*W], True where a wall is.
    """
    # Rows of the region begin at row 1, and its last column is width - 2: the border is outside.
    corner = width + width - 1 - side
    # Rejection sampling is uniform, and mostly a third or more of the squares are free.
    for _ in range(RANDOM_TRIALS):
        # One draw gives both coordinates, from its upper and its lower 32 bits.
        bits = draw(rng)
        cell = corner + scale(bits >> _S32, side) * width + scale(bits & _LOW_32, side)
        if not squares[cell] and _empty(cell, start, objects):
            return cell
    # Few cells are free. Reservoir sampling (Vitter, 1985) in one pass: the n-th free cell replaces the choice with
    # probability 1/n, so each of them is equally likely in the end.
    count, chosen = 0, -1
    for pick in range(side * side):
        cell = corner + pick // side * width + pick % side
        if not squares[cell] and _empty(cell, start, objects):
            count += 1
            if below(rng, count) == 0:
                chosen = cell
    return chosen


@inlined
def _empty(cell: int, start: np.ndarray, objects: np.ndarray) -> bool:
    """Return whether neither the agent nor an object stands on a cell."""
    # No early exit: a loop without branches can be vectorised.
    free = start[0] != cell
    for k in range(objects.shape[0]):
        free &= objects[k] != cell
    return free


@compiled
def generate_many(
    distribution: LevelDistribution,
    seed: int,
    indices: np.ndarray,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
) -> None:
    """Fill walls bool [B, H, W], start int32 [B] and objects int32 [B, K] with the levels at indices int64 [B]."""
    rng = np.empty(1, np.uint64)
    for b in range(indices.shape[0]):
        generate(distribution, seed, indices[b], walls[b], start[b : b + 1], objects[b], rng)
