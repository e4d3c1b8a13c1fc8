"""Braiding: opening some of the walls that an algorithm left between cells, so that mazes have loops."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.counter_rng import draw

_ZERO, _ONE, _TWO, _SIXTEEN, _S32, _LOW_16 = (np.uint64(n) for n in (0, 1, 2, 16, 32, 0xFFFF))


@compiled
def braid(walls: np.ndarray, rng: np.ndarray, probability: float) -> None:
    """Open every wall of `walls` bool [H, W] between two free cells with a probability, precise to 16 bits."""
    squares, width = walls.reshape(-1), np.uint64(walls.shape[1])
    # 2**16 at probability 1, above every 16-bit number, so that then every wall is opened.
    threshold = np.uint64(probability * 65536.0)
    bits, cells = _ZERO, 0
    for row in range(1, walls.shape[0], 2):
        for column in range(1, walls.shape[1], 2):
            # A cell uses 32 bits, 16 for the wall to its right and 16 for the wall below: two cells share a draw.
            if cells == 0:
                bits, cells = draw(rng), 2
            cell = np.uint64(row) * width + np.uint64(column)
            if column + 2 < walls.shape[1]:
                # Without branches: the wall stays if its bits are too large, or one of the two cells is not free.
                squares[cell + _ONE] &= (bits & _LOW_16 >= threshold) | squares[cell] | squares[cell + _TWO]
            if row + 2 < walls.shape[0]:
                below_it = cell + _TWO * width
                bits_down = bits >> _SIXTEEN & _LOW_16
                squares[cell + width] &= (bits_down >= threshold) | squares[cell] | squares[below_it]
            bits >>= _S32
            cells -= 1
