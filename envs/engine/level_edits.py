"""Random edits of levels, compiled: walls, the agent's start and the objects change, and the level stays playable.

Axes: B levels, H rows, W columns, K object slots.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.engine.level_generation import (
    ANYWHERE,
    ASIDE,
    CORNER,
    ON,
    ONE_OF,
    TOP_RIGHT,
    LevelDistribution,
    draw_cell,
    free_cell,
    top_right,
)
from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.counter_rng import below, stream, uniform
from goalmaze.envs.jit.flood import UNREACHABLE, flood

EDIT_SPLIT = 2**20 + 3
"""The split of the numbers that edit levels; those that draw levels, rows and actions have other splits."""

IDENTITY, CONSTANT, BINOMIAL, UNRESTRICTED = range(4)
"""The kinds of edits, see `goalmaze.envs.level_edits.EDITS`."""

_TRIALS = 16
"""Cells that are tried for an object whose cell must not hold another one of its type."""


@compiled
def are_distinguishing(
    distribution: LevelDistribution, walls: np.ndarray, start: np.ndarray, objects: np.ndarray, out: np.ndarray
) -> None:
    """Fill `out` bool [B]: whether the objects of a level stand otherwise than the training placements put them.

    An object that the placements put on another one must stand there, one that they put into a region must stand in it,
    and exactly those that they place must be in the level.
    """
    for b in range(out.shape[0]):
        out[b] = not _follows_training(distribution, walls[b], start[b : b + 1], objects[b])


@compiled
def _follows_training(
    distribution: LevelDistribution, walls: np.ndarray, start: np.ndarray, objects: np.ndarray
) -> bool:
    placed = np.zeros(objects.shape[0], np.bool_)
    width = walls.shape[1]
    for r in range(distribution.placements.shape[1]):
        subject, kind, host, region = distribution.placements[0, r]
        if subject < 1:
            continue
        if kind == ONE_OF:
            slots = objects[subject - 1 : subject - 1 + region]
            placed[subject - 1 : subject - 1 + region] = True
            if (slots >= 0).sum() != 1 and distribution.probabilities[0, r] == 1:
                return False
            continue
        placed[subject - 1] = True
        cell, probability = objects[subject - 1], distribution.probabilities[0, r]
        if kind == ON:
            # At any probability above 0: an object off its host tells the two apart, however it came there.
            if probability > 0 and cell != (start[0] if host == 0 else objects[host - 1]):
                return False
        elif cell < 0:
            if probability == 1:
                return False
        elif kind == TOP_RIGHT:
            if cell != top_right(walls.reshape(-1), width):
                return False
        elif kind == CORNER and max(cell // width, width - 1 - cell % width) > _region_side(walls, start, region):
            return False
    # Nothing else may be in the level.
    return not ((objects >= 0) & ~placed).any()


@compiled
def _region_side(walls: np.ndarray, start: np.ndarray, region: int) -> int:
    """Return the side of the smallest region in the top right corner, n x n at least, with a cell for an object."""
    width = walls.shape[1]
    for side in range(region, width - 1):
        for row in range(1, side + 1):
            for column in range(width - 1 - side, width - 1):
                if not walls[row, column] and row * width + column != start[0]:
                    return side
    return int(width) - 2


@compiled
def edit_many(
    distribution: LevelDistribution,
    kinds: np.ndarray,
    edits: int,
    steps: int,
    seed: int,
    numbers: np.ndarray,
    classes: np.ndarray,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
) -> None:
    """Edit levels in place.

    Args:
        distribution: how training levels are made; its second list of placements is that of distinguishing levels.
        kinds: int64 [K], the number of the object type in each slot.
        edits: the kind of edits, such as `IDENTITY`.
        steps: elementary edits of each level.
        seed: seed of the random numbers.
        numbers: int64 [B], the number of each edited level, which fixes its random numbers.
        classes: bool [B], whether each level is distinguishing.
        walls: bool [B, H, W].
        start: int32 [B].
        objects: int32 [B, K].
    """
    rng = np.empty(1, np.uint64)
    distance, queue = np.empty(walls[0].size, np.int32), np.empty(walls[0].size, np.int32)
    for b in range(numbers.shape[0]):
        rng[0] = stream(seed, EDIT_SPLIT, numbers[b], edits)
        maze, agent, things = walls[b], start[b : b + 1], objects[b]
        which = 1 if classes[b] else 0
        if edits in (CONSTANT, BINOMIAL):
            target = 0
            for _ in range(1 if edits == CONSTANT else steps):
                if uniform(rng) < distribution.mixture:
                    target = 1
            if target != which:
                which = target
                _place_anew(distribution, which, maze, agent, things, rng)
        for _ in range(steps):
            # Half of the edits change a wall, a quarter move the agent, a quarter move an object.
            choice = below(rng, 4)
            if choice < 2:
                _change_wall(distribution, which, maze, agent, things, rng, distance, queue)
            else:
                _move(distribution, which, edits, kinds, choice == 2, maze, agent, things, rng, distance, queue)


@compiled
def _place_anew(
    distribution: LevelDistribution,
    which: int,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    rng: np.ndarray,
) -> None:
    """Place the objects as list `which` does; what both lists place alike keeps its cell."""
    placements, probabilities = distribution.placements, distribution.probabilities
    alike = np.zeros(placements.shape[1], np.bool_)
    for r in range(placements.shape[1]):
        alike[r] = (placements[0, r] == placements[1, r]).all() and probabilities[0, r] == probabilities[1, r]
        for one in range(2):
            if not alike[r] and placements[one, r, 0] > 0:
                objects[placements[one, r, 0] - 1] = -1
    for r in range(placements.shape[1]):
        subject = placements[which, r, 0]
        if not alike[r] and subject > 0:
            objects[subject - 1] = draw_cell(distribution, which, r, walls, start, objects, rng)


@compiled
def _change_wall(
    distribution: LevelDistribution,
    which: int,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    rng: np.ndarray,
    distance: np.ndarray,
    queue: np.ndarray,
) -> None:
    """Open a wall, or close a free cell on which nothing stands; all free cells keep reaching each other."""
    height, width = walls.shape
    row, column = 1 + below(rng, height - 2), 1 + below(rng, width - 2)
    cell = row * width + column
    if walls[row, column]:
        if walls[row - 1, column] and walls[row + 1, column] and walls[row, column - 1] and walls[row, column + 1]:
            return
    elif start[0] == cell or (objects == cell).any():
        return
    corner = top_right(walls.reshape(-1), width)
    walls[row, column] = not walls[row, column]
    moves_corner = (
        top_right(walls.reshape(-1), width) != corner and (distribution.placements[:, :, 1] == TOP_RIGHT).any()
    )
    if (
        moves_corner
        or not _is_connected(walls, start, distance, queue)
        or not _keeps_paths(distribution, which, walls, start, objects, distance, queue)
    ):
        walls[row, column] = not walls[row, column]


@compiled
def _is_connected(walls: np.ndarray, start: np.ndarray, distance: np.ndarray, queue: np.ndarray) -> bool:
    """Return whether the agent reaches every free cell."""
    flood(walls, start[0], distance, queue)
    return bool((distance < UNREACHABLE).sum() == walls.size - walls.sum())


@compiled
def _keeps_paths(
    distribution: LevelDistribution,
    which: int,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    distance: np.ndarray,
    queue: np.ndarray,
) -> bool:
    """Return whether the agent has a path to every host of objects that must be aside from it, around all objects."""
    for r in range(distribution.placements.shape[1]):
        subject, kind, host, _ = distribution.placements[which, r]
        if kind != ASIDE or subject < 1 or objects[subject - 1] < 0:
            continue
        blocked = walls.copy()
        for k in range(objects.shape[0]):
            if objects[k] >= 0 and objects[k] != objects[host - 1]:
                blocked.reshape(-1)[objects[k]] = True
        flood(blocked, start[0], distance, queue)
        # One search for all of them: they have one host in every list.
        return bool(distance[objects[host - 1]] < UNREACHABLE)
    return True


@compiled
def _move(
    distribution: LevelDistribution,
    which: int,
    edits: int,
    kinds: np.ndarray,
    moves_agent: bool,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    rng: np.ndarray,
    distance: np.ndarray,
    queue: np.ndarray,
) -> None:
    """Move the agent's start or one object, with all that stands on it where the class of the level must not change."""
    old_start, old_objects = start.copy(), objects.copy()
    width = walls.shape[1]
    if moves_agent:
        cell = free_cell(walls.reshape(-1), width, start, objects, rng, width - 2)
        start[0] = cell if cell >= 0 else start[0]
    elif edits == UNRESTRICTED:
        _move_anywhere(distribution, kinds, walls, start, objects, rng)
    else:
        _move_within_class(distribution, which, walls, start, objects, rng)
    if not _keeps_paths(distribution, which, walls, start, objects, distance, queue):
        start[:], objects[:] = old_start, old_objects


@compiled
def _move_within_class(
    distribution: LevelDistribution,
    which: int,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    rng: np.ndarray,
) -> None:
    """Draw another cell for one object as its placement draws it, and let objects on it follow."""
    placements = distribution.placements
    r = _random_placement(placements[which], objects, rng)
    if r < 0:
        return
    k = placements[which, r, 0] - 1
    before = objects.copy()
    cell = draw_cell(distribution, which, r, walls, start, objects, rng)
    if cell < 0:
        return
    objects[k] = cell
    # Hosts come before what stands on them, so one pass moves a whole pile.
    for later in range(r + 1, placements.shape[1]):
        subject, kind, host, _ = placements[which, later]
        if subject > 0 and kind == ON and host > 0 and before[subject - 1] == before[host - 1]:
            objects[subject - 1] = objects[host - 1]


@compiled
def _random_placement(placements: np.ndarray, objects: np.ndarray, rng: np.ndarray) -> int:
    """Return the number of a random placement whose object is in the level and has a choice of cells, or -1."""
    count, chosen = 0, -1
    for r in range(placements.shape[0]):
        subject, kind = placements[r, 0], placements[r, 1]
        if subject > 0 and objects[subject - 1] >= 0 and kind in (ANYWHERE, CORNER, ASIDE):
            # Reservoir sampling: each of them is equally likely in the end.
            count += 1
            if below(rng, count) == 0:
                chosen = r
    return chosen


@compiled
def _move_anywhere(
    distribution: LevelDistribution,
    kinds: np.ndarray,
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    rng: np.ndarray,
) -> None:
    """Move one object to a free cell without the agent and without another object of its type."""
    width = walls.shape[1]
    fixed = np.zeros(objects.shape[0], np.bool_)
    for r in range(distribution.placements.shape[1]):
        if distribution.placements[0, r, 1] == TOP_RIGHT and distribution.placements[0, r, 0] > 0:
            # A place of the maze, such as its corner, is not an object that could stand elsewhere.
            fixed[distribution.placements[0, r, 0] - 1] = True
    movable = np.flatnonzero((objects >= 0) & ~fixed)
    if movable.size == 0:
        return
    k = movable[below(rng, movable.size)]
    for _ in range(_TRIALS):
        # With an empty array in place of the objects, since objects of different types may share a cell.
        cell = free_cell(walls.reshape(-1), width, start, objects[:0], rng, width - 2)
        if cell >= 0 and not ((kinds == kinds[k]) & (objects == cell)).any():
            objects[k] = cell
            return
