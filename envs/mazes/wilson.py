"""Wilson's mazes: loop-erased random walks, which make every spanning tree equally likely (Wilson, 1996)."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.counter_rng import draw
from goalmaze.envs.mazes.grid import cell_flags, cell_square, direction_step, neighbours

_ZERO, _ONE, _TWO, _S62 = (np.uint64(n) for n in (0, 1, 2, 62))


@compiled
def wilson(walls: np.ndarray, rng: np.ndarray) -> None:
    """Carve `walls` bool [H, W]; `rng` uint64 [1] is the random stream."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    squares[:] = True
    inside = cell_flags(walls)
    # The tree starts in the middle, where walks from everywhere find it soonest.
    squares[cell_square(walls, walls.shape[0] // 4, walls.shape[1] // 4)] = False
    last_step = np.empty(squares.size, np.uint64)
    for row in range(walls.shape[0] // 2):
        for column in range(walls.shape[1] // 2):
            start = cell_square(walls, row, column)
            here = start
            # A later step from the same cell overwrites the earlier one: this erases the loops of the walk.
            while squares[here]:
                last_step[here] = _exact_step(neighbours(inside, here, width), width, rng)
                here += _TWO * last_step[here]
            # Follow the last step out of each cell from the start: that is the walk without its loops.
            here = start
            while squares[here]:
                squares[here] = False
                squares[here + last_step[here]] = False
                here += _TWO * last_step[here]


@compiled
def _exact_step(options: np.uint64, width: np.uint64, rng: np.ndarray) -> np.uint64:
    """Return a step in one of the directions whose bits are set, with exactly equal probabilities."""
    # Rejection: a direction out of the maze is drawn again, so the rest are exactly equally likely:
    # without that, spanning trees would not be.
    direction = draw(rng) >> _S62
    while options >> direction & _ONE == _ZERO:
        direction = draw(rng) >> _S62
    return direction_step(int(direction), width)
