"""The maze algorithms, compiled: from solid walls to a maze.

A maze of odd sizes H and W has cells at odd coordinates; the squares between them are walls that an algorithm opens.
Squares are numbered row by row; where speed counts, unsigned, so that numba leaves out its care for negative indices.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.counter_rng import below, draw
from goalmaze.envs.mazes.depth_first import NTH_WAY, depth_first, neighbours, step_of

ALGORITHMS = ("depth-first", "kruskal", "prim", "wilson", "percolation", "open-room")
"""Names of the algorithms; `carve` takes their place in this list."""

MIN_FREE = 8
"""Squares that percolation leaves free at least, so that agent and objects find a place."""

_KRUSKAL, _PRIM, _WILSON, _PERCOLATION, _OPEN_ROOM = range(1, 6)
_ZERO, _ONE, _TWO, _TWELVE, _SIXTEEN, _S32, _S62 = (np.uint64(n) for n in (0, 1, 2, 12, 16, 32, 62))
_LOW_16 = np.uint64(0xFFFF)


@compiled
def carve(walls: np.ndarray, rng: np.ndarray, algorithm: int, openness: float, braiding: float) -> None:
    """Turn `walls` bool [H, W] into a maze whose free squares all reach each other.

    Args:
        walls: overwritten.
        rng: uint64 [1], the random stream, advanced.
        algorithm: index into `ALGORITHMS`.
        openness: the algorithm's own parameter, where it has one.
        braiding: probability with which every wall still between two cells is opened afterwards.
    """
    if algorithm == _KRUSKAL:
        kruskal(walls, rng)
    elif algorithm == _PRIM:
        prim(walls, rng)
    elif algorithm == _WILSON:
        wilson(walls, rng)
    elif algorithm == _PERCOLATION:
        percolation(walls, rng, openness)
    elif algorithm == _OPEN_ROOM:
        open_room(walls)
    else:
        depth_first(walls, rng)
    if braiding > 0.0:
        braid(walls, rng, braiding)


@compiled
def carve_many(walls: np.ndarray, rng: np.ndarray, algorithm: int, openness: float, braiding: float) -> None:
    """Turn every one of `walls` bool [B, H, W] into a maze; arguments as `carve`."""
    for b in range(walls.shape[0]):
        carve(walls[b], rng, algorithm, openness, braiding)


@compiled
def kruskal(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve `walls` [H, W] by opening walls in random order where they part cells not joined yet (Kruskal, 1956)."""
    _part_cells(walls)
    squares, width = walls.reshape(-1), walls.shape[1]
    untried = _between(walls)
    regions = np.arange(squares.size)
    tries = untried.size
    left = _cells(walls) - 1
    while left > 0:
        pick = below(rng, tries)
        square, step = _across(untried[pick], width)
        tries -= 1
        untried[pick] = untried[tries]
        one, other = _root(regions, square - step), _root(regions, square + step)
        if one != other:
            regions[one] = other
            squares[square] = False
            left -= 1


@compiled
def prim(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve `walls` [H, W] by joining random cells of the maze's frontier to it (after Prim, 1957).

    This is the variant that draws a cell of the frontier, then one of its neighbours in the maze, each uniformly.
    """
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    squares[:] = True
    reached = np.zeros(squares.size, np.bool_)
    new = _cell_flags(walls)
    frontier = np.empty(_cells(walls), np.uint64)
    size = 0
    here = _random_cell(walls, rng)
    new[here] = False
    for _ in range(frontier.size - 1):
        squares[here] = False
        reached[here] = True
        size = _extend(frontier, size, new, here, width)
        pick = below(rng, size)
        here = frontier[pick]
        size -= 1
        frontier[pick] = frontier[size]
        squares[here + _random_step(neighbours(reached, here, width), width, rng)] = False
    squares[here] = False


@compiled
def wilson(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve `walls` [H, W] by loop-erased random walks, every spanning tree being equally likely (Wilson, 1996)."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    squares[:] = True
    inside = _cell_flags(walls)
    squares[_cell(walls, walls.shape[0] // 4, walls.shape[1] // 4)] = False
    last_step = np.empty(squares.size, np.uint64)
    for row in range(walls.shape[0] // 2):
        for column in range(walls.shape[1] // 2):
            start = _cell(walls, row, column)
            here = start
            while squares[here]:
                last_step[here] = _exact_step(neighbours(inside, here, width), width, rng)
                here += _TWO * last_step[here]
            here = start
            while squares[here]:
                squares[here] = False
                squares[here + last_step[here]] = False
                here += _TWO * last_step[here]


@compiled
def percolation(walls: np.ndarray, rng: np.ndarray, openness: float) -> None:
    """Open every wall of `walls` [H, W] with probability `openness`, and fill all but the largest region.

    This is bond percolation (Broadbent & Hammersley, 1957). While the largest region has less than `MIN_FREE`
    squares, every wall left is opened with probability 1/8.
    """
    _part_cells(walls)
    braid(walls, rng, openness)
    squares = walls.reshape(-1)
    regions = np.empty(squares.size, np.int64)
    fewest = min(MIN_FREE, _cells(walls) + _between(walls).size)
    largest, size = _find_regions(walls, regions)
    while size < fewest:
        braid(walls, rng, 0.125)
        largest, size = _find_regions(walls, regions)
    for square in range(squares.size):
        squares[square] = regions[square] != largest


@compiled
def open_room(walls: np.ndarray) -> None:
    """Free the whole interior of `walls` [H, W]."""
    walls[:] = True
    walls[1:-1, 1:-1] = False


@compiled
def braid(walls: np.ndarray, rng: np.ndarray, probability: float) -> None:
    """Open every wall of `walls` [H, W] between two free cells with the given probability, to 16 bits."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    threshold = np.uint64(probability * 65536.0)
    luck, cells = _ZERO, 0
    for row in range(1, walls.shape[0], 2):
        for column in range(1, walls.shape[1], 2):
            if cells == 0:
                luck, cells = draw(rng), 2
            cell = np.uint64(row) * width + np.uint64(column)
            if column + 2 < walls.shape[1]:
                squares[cell + _ONE] &= (luck & _LOW_16 >= threshold) | squares[cell] | squares[cell + _TWO]
            if row + 2 < walls.shape[0]:
                below_it = cell + _TWO * width
                luck_down = luck >> _SIXTEEN & _LOW_16
                squares[cell + width] &= (luck_down >= threshold) | squares[cell] | squares[below_it]
            luck >>= _S32
            cells -= 1


@compiled
def _cells(walls: np.ndarray) -> int:
    """Return the number of cells."""
    return (walls.shape[0] // 2) * (walls.shape[1] // 2)


@compiled
def _cell(walls: np.ndarray, row: int, column: int) -> np.uint64:
    """Return the square of the cell in a row and column of cells."""
    return np.uint64((2 * row + 1) * walls.shape[1] + 2 * column + 1)


@compiled
def _random_cell(walls: np.ndarray, rng: np.ndarray) -> np.uint64:
    return _cell(walls, below(rng, walls.shape[0] // 2), below(rng, walls.shape[1] // 2))


@compiled
def _part_cells(walls: np.ndarray) -> None:
    """Free the cells of `walls` [H, W] and nothing else."""
    walls[:] = True
    walls[1::2, 1::2] = False


@compiled
def _cell_flags(walls: np.ndarray) -> np.ndarray:
    """Return [H * W], whether a square is a cell."""
    flags = np.zeros(walls.shape, np.bool_)
    flags[1::2, 1::2] = True
    return flags.reshape(-1)


@compiled
def _between(walls: np.ndarray) -> np.ndarray:
    """Return all squares between two cells, in the code that `_across` reads."""
    height, width = walls.shape
    codes = np.empty((height // 2) * (width // 2 - 1) + (height // 2 - 1) * (width // 2), np.int64)
    count = 0
    for row in range(1, height - 1):
        for column in range(1 + row % 2, width - 1, 2):
            codes[count] = 2 * (row * width + column) + row % 2
            count += 1
    return codes


@compiled
def _across(code: int, width: int) -> tuple[int, int]:
    """Return a square between two cells and the step from it to one of them."""
    return code >> 1, 1 if code & 1 else width


@compiled
def _random_step(options: np.uint64, width: np.uint64, rng: np.ndarray) -> np.uint64:
    """Return a step in one of the directions whose bits are set; their chances differ by 2**-32."""
    nth = ((draw(rng) >> _S32) * _TWELVE >> _S32) * _SIXTEEN + options
    return step_of(NTH_WAY[nth], width)


@compiled
def _exact_step(options: np.uint64, width: np.uint64, rng: np.ndarray) -> np.uint64:
    """Return a step in one of the directions whose bits are set, with exactly equal chances."""
    way = draw(rng) >> _S62
    while options >> way & _ONE == _ZERO:
        way = draw(rng) >> _S62
    return step_of(int(way), width)


@compiled
def _extend(frontier: np.ndarray, size: int, new: np.ndarray, here: np.uint64, width: np.uint64) -> int:
    """Move the new neighbours of a cell to the frontier and return its size."""
    options = neighbours(new, here, width)
    for way in range(4):
        if options >> np.uint64(way) & _ONE:
            there = here + _TWO * step_of(way, width)
            new[there] = False
            frontier[size] = there
            size += 1
    return size


@compiled
def _root(regions: np.ndarray, square: int) -> int:
    """Return the square that stands for the region of a square, halving the way to it (van Leeuwen & Weide, 1977)."""
    while regions[square] != square:
        regions[square] = regions[regions[square]]
        square = regions[square]
    return square


@compiled
def _find_regions(walls: np.ndarray, regions: np.ndarray) -> tuple[int, int]:
    """Number the regions in `regions` [H * W], walls being 0; return the largest one and how many squares it has."""
    squares, width = walls.reshape(-1), walls.shape[1]
    regions[:] = 0
    waiting = np.empty(squares.size, np.int64)
    regions_found = largest = most = 0
    for square in range(squares.size):
        if not squares[square] and regions[square] == 0:
            regions_found += 1
            size = _flood(squares, width, regions, square, regions_found, waiting)
            if size > most:
                largest, most = regions_found, size
    return largest, most


@compiled
def _flood(squares: np.ndarray, width: int, regions: np.ndarray, origin: int, region: int, waiting: np.ndarray) -> int:
    """Give all squares that can be reached from a free one the number of its region; return how many they are."""
    regions[origin] = region
    waiting[0] = origin
    count, done = 1, 0
    while done < count:
        here = waiting[done]
        done += 1
        for step in (-width, -1, 1, width):
            if not squares[here + step] and regions[here + step] == 0:
                regions[here + step] = region
                waiting[count] = here + step
                count += 1
    return count
